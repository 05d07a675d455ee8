//! The host's side of networks.

use std::net::SocketAddr;

use api::host_network::{Finding, FirewallExplain, NetworkRepair, Passage};

/// Encodes `POST /gantry/network/repair`.
#[must_use]
pub fn network_repair(findings: Vec<engine::Finding>) -> NetworkRepair {
    NetworkRepair {
        whole: findings.iter().all(|finding| finding.repaired),
        findings: findings
            .into_iter()
            .map(|finding| Finding { subject: finding.subject, problem: finding.problem, repaired: finding.repaired })
            .collect(),
    }
}

/// Encodes `GET /gantry/firewall/explain`.
#[must_use]
pub fn firewall_explain(question: engine::Question, answer: engine::Explanation) -> FirewallExplain {
    let passages = answer.passages.into_iter().map(|passage| Passage {
        hook: passage.hook.to_owned(),
        chain: passage.chain,
        rule: passage.rule,
        effect: passage.effect.to_owned(),
    });
    FirewallExplain {
        port: format!("{}/{}", question.protocol, question.port),
        to: answer.to.to_string(),
        input: answer.input.unwrap_or_default(),
        container: answer.container.map(|target| SocketAddr::from(target).to_string()).unwrap_or_default(),
        verdict: answer.verdict.to_owned(),
        doubtful: answer.doubtful,
        passages: passages.collect(),
    }
}
