//! What a table holds, in a form in which what was sent and what the kernel has can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::batch::{Batch, RULE_EXPRESSIONS, RawRule, SUBSYSTEM};
use super::decode::{Step, steps};
use super::family::Family;
use super::ruleset::{Element, NFGENMSG, element};
use super::socket::NftSocket;
use crate::netlink::{Message, attributes};

/// One element: key, value, and whether it ends an interval.
pub type ContentElement = (Vec<u8>, Vec<u8>, bool);

/// The content of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The rules of each chain, in their order.
    pub chains: BTreeMap<String, Vec<Vec<Step>>>,
    /// The elements of each set and map.
    pub sets: BTreeMap<String, BTreeSet<ContentElement>>,
}

impl Content {
    /// What this lacks, or has otherwise, of what is wanted; and what is too much. One line each, for people.
    #[must_use]
    pub fn differences(&self, wanted: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (name, rules) in &wanted.chains {
            match self.chains.get(name) {
                None => differences.push(format!("chain {name} was gone")),
                Some(present) if present != rules => {
                    differences.push(format!("chain {name} had {}", counted(present.len(), rules.len(), "rules")));
                }
                Some(_) => {}
            }
        }
        for (name, elements) in &wanted.sets {
            match self.sets.get(name) {
                None => differences.push(format!("set {name} was gone")),
                Some(present) if present != elements => {
                    differences.push(format!("set {name} had {}", counted(present.len(), elements.len(), "elements")));
                }
                Some(_) => {}
            }
        }
        let known = |name: &&String| !wanted.chains.contains_key(*name) && !wanted.sets.contains_key(*name);
        let strangers = self.chains.keys().chain(self.sets.keys()).filter(known);
        differences.extend(strangers.map(|name| format!("{name} is not ours")));
        differences
    }
}

fn counted(present: usize, wanted: usize, what: &str) -> String {
    if present == wanted { format!("other {what}") } else { format!("{present} of {wanted} {what}") }
}

impl Batch<'_> {
    /// What the table holds when the batch began with an empty one.
    #[must_use]
    pub fn content(&self) -> Content {
        let mut content = Content::default();
        for message in self.messages() {
            let kind = i32::from(message.kind() & !SUBSYSTEM);
            if message.kind() & SUBSYSTEM == SUBSYSTEM {
                content.take(kind, message);
            }
        }
        content
    }
}

impl Content {
    fn take(&mut self, kind: i32, message: &Message) {
        let body = message.payload().get(NFGENMSG..).unwrap_or(&[]);
        let text = |wanted| attributes(body).find(|part| part.kind == wanted).map(|part| part.text());
        match kind {
            libc::NFT_MSG_NEWCHAIN => {
                self.chains.entry(text(3).unwrap_or_default()).or_default();
            }
            libc::NFT_MSG_NEWSET => {
                self.sets.entry(text(2).unwrap_or_default()).or_default();
            }
            libc::NFT_MSG_NEWRULE => {
                let list = attributes(body).find(|part| part.kind == RULE_EXPRESSIONS);
                let expressions = list.map(|list| list.payload.to_vec()).unwrap_or_default();
                let rule = steps(&RawRule { expressions, ..RawRule::default() });
                self.chains.entry(text(2).unwrap_or_default()).or_default().push(rule);
            }
            libc::NFT_MSG_NEWSETELEM => {
                let elements = attributes(body).filter(|part| part.kind == 3);
                let elements = elements.flat_map(|list| list.nested().collect::<Vec<_>>());
                let set = self.sets.entry(text(2).unwrap_or_default()).or_default();
                set.extend(elements.map(|one| plain(&element(one.payload))));
            }
            _ => {}
        }
    }
}

impl NftSocket {
    /// What a table holds; `None` when there is no such table.
    pub fn content(&mut self, family: Family, table: &str) -> io::Result<Option<Content>> {
        let mut content = Content::default();
        let chains = self.chains()?.into_iter().filter(|chain| chain.family == family && chain.table == table);
        content.chains.extend(chains.map(|chain| (chain.name, Vec::new())));
        if content.chains.is_empty() {
            return Ok(None);
        }
        for rule in self.rules(Some((family, table, None)))? {
            content.chains.entry(rule.chain).or_default().push(steps(&rule.raw));
        }
        for set in self.sets(family, table)? {
            let elements = match self.elements(family, table, &set.name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                elements => elements?,
            };
            content.sets.insert(set.name, elements.iter().map(plain).collect());
        }
        Ok(Some(content))
    }
}

fn plain(element: &Element) -> ContentElement {
    let value = attributes(&element.value).next().map(|data| data.payload.to_vec()).unwrap_or_default();
    (element.key.clone(), value, element.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::{ChainKind, Expression, Hook, Verdict};

    fn batch(rules: usize, keys: &[u8]) -> Content {
        let mut batch = Batch::new(Family::Inet, "t");
        batch.add_table().add_chain("c", ChainKind::Filter, Hook::Forward, 0).add_set("s", (0, 1), false);
        for _ in 0..rules {
            batch.add_rule("c", &[Expression::Verdict(Verdict::Drop)]);
        }
        batch.add_members("s", &keys.iter().map(|key| vec![*key]).collect::<Vec<_>>());
        batch.content()
    }

    #[test]
    fn differences_are_told_in_words() {
        let wanted = batch(2, &[1, 2]);
        assert_eq!((wanted.chains["c"].len(), wanted.sets["s"].len()), (2, 2));
        assert!(wanted.differences(&batch(2, &[2, 1])).is_empty());
        let differences = batch(0, &[1, 3]).differences(&wanted);
        assert_eq!(differences, ["chain c had 0 of 2 rules", "set s had other elements"]);
        assert_eq!(Content::default().differences(&wanted), ["chain c was gone", "set s was gone"]);
        assert_eq!(wanted.differences(&Content::default()), ["c is not ours", "s is not ours"]);
    }
}
