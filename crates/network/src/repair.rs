//! `network repair`: everything on the host that containers need, compared with the records and put right.

use std::sync::{Arc, PoisonError};

use sys::netlink::RouteSocket;
use types::EndpointId;

use crate::apply::apply_bridge;
use crate::bridge::{Bridge, alias};
use crate::bridges::{set_switches, switches};
use crate::config::DefaultBridge;
use crate::network::lock;
use crate::observe::Observed;
use crate::plan::{host_device, plan_bridge};
use crate::reaper::Job;
use crate::{Error, Network};

/// Something that was not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A device, a table or a switch.
    pub subject: String,
    /// What was wrong.
    pub problem: String,
    /// It was put right; otherwise `problem` says what to do.
    pub repaired: bool,
}

impl Network {
    /// Puts right what others have changed of bridges, links on them, switches of the kernel and the firewall. Returns
    /// what was wrong; nothing when all was well. Containers go on meanwhile.
    pub fn repair(&self) -> Result<Vec<Finding>, Error> {
        let _changing = lock(&self.changing);
        let mut findings = Vec::new();
        let bridges: Vec<Arc<Bridge>> = self.bridges().all().cloned().collect();
        for bridge in bridges {
            self.repair_bridge(bridge, &mut findings)?;
        }
        if let Some(firewall) = &self.firewall {
            let table = lock(firewall).table.clone();
            for problem in self.repair_table()? {
                findings.push(repaired(&format!("table {table}"), problem));
            }
            self.repair_iptables(&mut findings)?;
        }
        Ok(findings)
    }

    fn repair_bridge(&self, bridge: Arc<Bridge>, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let mut route = lock(&self.route);
        let observed = Observed::read(&mut route)?;
        let owned = self.owns(&bridge);
        let link = observed.link(&bridge.name);
        if link.is_none() && !owned {
            let problem = "is gone; it is not the daemon's own: make it again, then repair once more".to_owned();
            findings.push(Finding { subject: bridge.name.clone(), problem, repaired: false });
            return Ok(());
        }
        let plan = plan_bridge(&bridge.name, &bridge.sides, Some(bridge.mtu), owned, &observed)?;
        let mut wrong = Vec::new();
        match link {
            None => wrong.push("was gone".to_owned()),
            Some(link) if !link.up => wrong.push("was down".to_owned()),
            Some(_) => {}
        }
        if !plan.create {
            wrong.extend(plan.add_addresses.iter().map(|(own, prefix)| format!("lacked its address {own}/{prefix}")));
            if plan.set_mtu {
                wrong.push(format!("had another MTU than {}", plan.mtu));
            }
        }
        let mut bridge = bridge;
        if !wrong.is_empty() {
            let text = alias(&self.config.data_root);
            let index = apply_bridge(&mut route, &plan, owned.then_some(text.as_str()))?;
            findings.extend(wrong.into_iter().map(|problem| repaired(&bridge.name, problem)));
            if index != bridge.index {
                bridge = Arc::new(Bridge { index, ..(*bridge).clone() });
                self.replace_bridge(&bridge);
            }
        }
        for (path, value, present) in switches(&self.config, &bridge.name, &bridge.sides) {
            if present.as_deref() != Some(value) {
                findings.push(repaired(&path, format!("was {}, not {value}", present.as_deref().unwrap_or("absent"))));
            }
        }
        set_switches(&self.config, &bridge.name, &bridge.sides)?;
        self.repair_links(&mut route, &observed, &bridge, findings)
    }

    /// Puts the links of a bridge's endpoints back on it.
    fn repair_links(
        &self,
        route: &mut RouteSocket,
        observed: &Observed,
        bridge: &Bridge,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Error> {
        let endpoints: Vec<(EndpointId, bool)> = {
            let state = lock(&self.state);
            let here = state.endpoints.iter().filter(|(_, endpoint)| endpoint.network == bridge.id);
            here.map(|(id, endpoint)| (id.clone(), !endpoint.published.is_empty())).collect()
        };
        for (endpoint, hairpin) in endpoints {
            let device = host_device(&endpoint);
            let failed = |action| {
                let device = device.clone();
                move |source| Error::Device { device, action, source }
            };
            match observed.link(&device) {
                None => {
                    let problem = "is gone: restart the container that it led to".to_owned();
                    findings.push(Finding { subject: device, problem, repaired: false });
                }
                Some(link) if link.master != bridge.index || !link.up => {
                    route.set_master(link.index, bridge.index).map_err(failed("put on the bridge"))?;
                    route.set_up(link.index).map_err(failed("bring up"))?;
                    if hairpin || bridge.isolate {
                        let set = route.set_bridge_port(link.index, hairpin, bridge.isolate);
                        set.map_err(failed("set bridge port"))?;
                    }
                    findings.push(repaired(&device, format!("was not on {}, or was down", bridge.name)));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// What is in iptables' tables; the background threads are told as well.
    fn repair_iptables(&self, findings: &mut Vec<Finding>) -> Result<(), Error> {
        for family in self.iptables_without_jump()? {
            findings.push(repaired("DOCKER-USER", format!("{family} had no jump to it")));
        }
        for bridge in self.bridges().all() {
            self.reaper.queue(Job::LetThrough(bridge.name.clone()));
        }
        self.guard.changed();
        Ok(())
    }

    fn owns(&self, bridge: &Bridge) -> bool {
        let bridges = self.bridges();
        match bridges.users.iter().find(|user| user.record.definition.id == bridge.id) {
            Some(user) => user.record.owned,
            None => matches!(self.config.bridge, DefaultBridge::Owned { .. }),
        }
    }

    fn replace_bridge(&self, bridge: &Arc<Bridge>) {
        let mut bridges = self.bridges.write().unwrap_or_else(PoisonError::into_inner);
        match bridges.users.iter_mut().find(|user| user.record.definition.id == bridge.id) {
            Some(user) => user.bridge = Some(Arc::clone(bridge)),
            None => bridges.default = Some(Arc::clone(bridge)),
        }
    }
}

fn repaired(subject: &str, problem: String) -> Finding {
    Finding { subject: subject.to_owned(), problem, repaired: true }
}
