//! The PORTS column.

use super::value::Value;

/// One entry of a container's port list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Port {
    private: u16,
    address: String,
    public: u16,
    protocol: String,
}

/// Shows published and exposed ports (`0.0.0.0:80->80/tcp, 443/tcp`), adjoining ones as ranges.
#[must_use]
pub fn displayable(ports: &Value) -> String {
    let number = |value: &Value| u16::try_from(value.as_i64()).unwrap_or(0);
    let mut list: Vec<Port> = ports
        .items()
        .iter()
        .map(|port| Port {
            private: number(port.at("PrivatePort")),
            address: port.at("IP").as_str().to_owned(),
            public: number(port.at("PublicPort")),
            protocol: port.at("Type").as_str().to_owned(),
        })
        .collect();
    list.sort();
    let mut groups: Vec<(String, String, u16, u16)> = Vec::new();
    let (mut done, mut mapped) = (Vec::new(), Vec::new());
    for port in list {
        if !port.address.is_empty() && port.public != port.private {
            mapped.push(format!(
                "{}->{}/{}",
                host(&port.address, &port.public.to_string()),
                port.private,
                port.protocol
            ));
            continue;
        }
        let same = |group: &&mut (String, String, u16, u16)| group.0 == port.address && group.1 == port.protocol;
        match groups.iter_mut().find(same) {
            None => groups.push((port.address, port.protocol, port.private, port.private)),
            Some(group) if group.3.checked_add(1) == Some(port.private) => group.3 = port.private,
            Some(group) => {
                done.push(shown(group));
                (group.2, group.3) = (port.private, port.private);
            }
        }
    }
    done.extend(groups.iter().map(shown));
    done.extend(mapped);
    done.join(", ")
}

/// `address:port`, with brackets around an IPv6 address.
#[must_use]
pub fn host(address: &str, port: &str) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

fn shown((address, protocol, first, last): &(String, String, u16, u16)) -> String {
    let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
    if address.is_empty() {
        format!("{range}/{protocol}")
    } else {
        format!("{}->{range}/{protocol}", host(address, &range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_ranges_and_maps() {
        let ports: Value = serde_json::from_str(
            r#"[{"PrivatePort":80,"Type":"tcp"},{"PrivatePort":81,"Type":"tcp"},{"PrivatePort":9000,"Type":"udp"},
                {"IP":"0.0.0.0","PrivatePort":443,"PublicPort":443,"Type":"tcp"},
                {"IP":"::","PrivatePort":443,"PublicPort":443,"Type":"tcp"},
                {"IP":"0.0.0.0","PrivatePort":22,"PublicPort":2222,"Type":"tcp"}]"#,
        )
        .expect("valid");
        assert_eq!(
            displayable(&ports),
            "80-81/tcp, 0.0.0.0:443->443/tcp, [::]:443->443/tcp, 9000/udp, 0.0.0.0:2222->22/tcp"
        );
    }
}
