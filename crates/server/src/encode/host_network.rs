//! The host's side of networks.

use api::host_network::{Finding, NetworkRepair};

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
