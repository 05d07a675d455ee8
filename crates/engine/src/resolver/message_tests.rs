//! Questions read and answers written.

use super::*;

fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

#[test]
fn questions_are_read() {
    let wanted = |name: &str, kind: u16| Question::parse(&query(name, kind)).map(|question| question.wanted);
    assert_eq!(wanted("db.net", 1), Ok(Wanted::Ipv4("db.net".to_owned())));
    assert_eq!(wanted("db", 28), Ok(Wanted::Ipv6("db".to_owned())));
    assert_eq!(wanted("db", 15), Ok(Wanted::Other("db".to_owned())));
    assert_eq!(wanted("2.0.18.172.in-addr.arpa", 12), Ok(Wanted::Name([172, 18, 0, 2].into())));
    let six = format!("1.{}.0.0.d.f.ip6.arpa", ["0"; 27].join("."));
    assert_eq!(wanted(&six, 12), Ok(Wanted::Name("fd00::1".parse().expect("address"))));
    assert_eq!(wanted("x.in-addr.arpa", 12), Ok(Wanted::Other("x.in-addr.arpa".to_owned())));
}

#[test]
fn broken_messages_do_no_harm() {
    assert_eq!(Question::parse(b"short"), Err(None));
    let mut answer = query("db", 1);
    answer[2] = 0x80;
    assert_eq!(Question::parse(&answer), Err(None));
    let whole = query("db", 1);
    for end in HEADER..whole.len() {
        assert!(matches!(Question::parse(&whole[..end]), Err(Some(refusal)) if refusal[3] & 15 == 1), "{end}");
    }
    // A name that points at itself.
    let mut looped = whole[..HEADER].to_vec();
    looped.extend_from_slice(&[0xc0, HEADER as u8, 0, 1, 0, 1]);
    assert!(matches!(Question::parse(&looped), Err(Some(_))));
}

#[test]
fn answers_carry_the_question_and_the_records() {
    let question = Question::parse(&query("db", 1)).expect("a question");
    let answer = question.addresses(&[[10, 0, 0, 2].into(), "fd00::1".parse().expect("address")], true);
    assert_eq!(answer[..12], [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    assert_eq!(answer[answer.len() - 16..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 10, 0, 0, 2]);
    assert!(answers(&query("db", 1), &answer) && !gave_up(&answer));
    assert!(gave_up(&question.empty(Code::Failed)));
    let nothing = Question::parse(&query("db", 28)).expect("a question").addresses(&[[10, 0, 0, 2].into()], true);
    assert_eq!(nothing[3] & 15, 0);
    assert_eq!(nothing[6..8], [0, 0]);
}

#[test]
fn a_long_answer_is_cut_for_a_datagram_only() {
    let many: Vec<IpAddr> = (0..100).map(|n| [10, 0, 0, n].into()).collect();
    let question = Question::parse(&query("db", 1)).expect("a question");
    let cut = question.addresses(&many, true);
    assert!(cut.len() <= 512 && cut[2] & 2 != 0);
    let whole = question.addresses(&many, false);
    assert!(whole[7] == 100 && whole[2] & 2 == 0);
}

/// A query with an EDNS record of that size, edition and flags.
fn query_with_edns(name: &str, kind: u16, size: u16, version: u8, flags: u16) -> Vec<u8> {
    let mut message = query(name, kind);
    message[11] = 1;
    message.extend_from_slice(&[0, 0, 41]);
    message.extend_from_slice(&size.to_be_bytes());
    message.extend_from_slice(&[0, version]);
    message.extend_from_slice(&flags.to_be_bytes());
    message.extend_from_slice(&[0, 0]);
    message
}

#[test]
fn one_who_speaks_edns_hears_it() {
    let question = Question::parse(&query_with_edns("db", 1, 1232, 0, 0x8000)).expect("a question");
    assert_eq!(question.size(), 1232);
    let edns = [0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0];
    for answer in [question.addresses(&[[10, 0, 0, 2].into()], true), question.empty(Code::Failed)] {
        assert_eq!(answer[10..12], [0, 1]);
        assert_eq!(answer[answer.len() - 11..], edns);
    }
    // One who does not, does not.
    let plain = Question::parse(&query("db", 1)).expect("a question");
    assert_eq!(plain.size(), 512);
    assert_eq!(plain.empty(Code::Fine)[10..12], [0, 0]);
    // Less than every program takes is not to be had.
    assert_eq!(Question::parse(&query_with_edns("db", 1, 100, 0, 0)).expect("a question").size(), 512);
}

#[test]
fn an_unknown_edition_of_edns_is_refused_by_its_own_code() {
    let Err(Some(refusal)) = Question::parse(&query_with_edns("db", 1, 1232, 1, 0)) else { panic!("taken") };
    assert_eq!(refusal[3] & 15, 0);
    assert_eq!(refusal[refusal.len() - 11..], [0, 0, 41, 0x10, 0, 1, 0, 0, 0, 0, 0]);
}

#[test]
fn broken_edns_does_no_harm() {
    let whole = query_with_edns("db", 1, 1232, 0, 0);
    for end in query("db", 1).len()..whole.len() {
        assert!(matches!(Question::parse(&whole[..end]), Err(Some(refusal)) if refusal[3] & 15 == 1), "{end}");
    }
    let mut twice = whole.clone();
    twice[11] = 2;
    twice.extend_from_slice(&whole[whole.len() - 11..]);
    assert!(matches!(Question::parse(&twice), Err(Some(_))));
    // Behind another record it is found too.
    let mut behind = query("db", 1);
    behind[11] = 2;
    behind.extend_from_slice(&[0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 0, 1, 0]);
    behind.extend_from_slice(&whole[whole.len() - 11..]);
    assert_eq!(Question::parse(&behind).expect("a question").size(), 1232);
}

#[test]
fn edns_makes_room_for_more_addresses() {
    let many: Vec<IpAddr> = (0..100).map(|n| [10, 0, 0, n].into()).collect();
    let question = Question::parse(&query_with_edns("db", 1, 1232, 0, 0)).expect("a question");
    let cut = question.addresses(&many, true);
    assert!(cut.len() <= 1232 && cut.len() > 1200 && cut[2] & 2 != 0, "{}", cut.len());
    let question = Question::parse(&query_with_edns("db", 1, 4096, 0, 0)).expect("a question");
    let whole = question.addresses(&many, true);
    assert!(whole[7] == 100 && whole[2] & 2 == 0);
}

#[test]
fn everything_is_both_families() {
    let question = Question::parse(&query("db", 255)).expect("a question");
    let answer = question.addresses(&[[10, 0, 0, 2].into(), "fd00::1".parse().expect("address")], true);
    assert_eq!(answer[6..8], [0, 2]);
}

#[test]
fn one_word_is_bare() {
    let bare = |name: &str, kind| Question::parse(&query(name, kind)).expect("a question").is_bare();
    assert!(bare("db", 1) && bare("db", 28));
    assert!(!bare("db.example", 1) && !bare("db", 15));
}

#[test]
fn an_answer_to_something_else_is_none() {
    let asked = query("db", 1);
    let answer = |name: &str, kind, code: u8| {
        let mut answer = query(name, kind);
        answer[2] |= 0x80;
        answer[3] = code;
        answer
    };
    assert!(answers(&asked, &answer("DB", 1, 0)));
    assert!(!answers(&asked, &answer("evil", 1, 0)) && !answers(&asked, &answer("db", 28, 0)));
    assert!(!answers(&asked, &asked) && !answers(&asked, &asked[..4]));
    let mut short = answer("db", 1, 1)[..HEADER].to_vec();
    short[5] = 0;
    assert!(answers(&asked, &short));
    short[3] = 0;
    assert!(!answers(&asked, &short));
}
