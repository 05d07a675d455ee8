//! `--ulimit`.

use serde_json::{Value, json};
use types::ULIMITS;

/// Reads `name=soft[:hard]`.
///
/// # Errors
/// Docker's text.
pub fn parse(text: &str) -> Result<Value, String> {
    let (name, limits) = text.split_once('=').ok_or_else(|| format!("invalid ulimit argument: {text}"))?;
    if !ULIMITS.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let number = |digits: &str| {
        digits.parse::<i64>().map_err(|_| format!("strconv.ParseInt: parsing {digits:?}: invalid syntax"))
    };
    let (soft, hard) = match limits.split(':').collect::<Vec<_>>().as_slice() {
        [both] => (number(both)?, number(both)?),
        [soft, hard] => {
            let hard = number(hard)?;
            (number(soft)?, hard)
        }
        _ => {
            return Err(format!("too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`"));
        }
    };
    let order = "ulimit soft limit must be less than or equal to hard limit";
    match (soft, hard) {
        (_, -1) => {}
        (-1, hard) => return Err(format!("{order}: soft: -1 (unlimited), hard: {hard}")),
        (soft, hard) if soft > hard => return Err(format!("{order}: {soft} > {hard}")),
        _ => {}
    }
    Ok(json!({ "Name": name, "Soft": soft, "Hard": hard }))
}

/// For the flag table.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_limits() {
        assert_eq!(parse("nofile=1024:2048"), Ok(json!({"Name":"nofile","Soft":1024,"Hard":2048})));
        assert_eq!(parse("core=-1"), Ok(json!({"Name":"core","Soft":-1,"Hard":-1})));
        assert_eq!(parse("foo=1"), Err("invalid ulimit type: foo".to_owned()));
        assert_eq!(parse("nofile"), Err("invalid ulimit argument: nofile".to_owned()));
        assert_eq!(
            parse("nofile=2:1"),
            Err("ulimit soft limit must be less than or equal to hard limit: 2 > 1".to_owned())
        );
    }
}
