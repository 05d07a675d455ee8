//! Real servers that find each other by name: rows LNK-13, USE-16, USE-17, USE-19, and a container that updates its
//! packages through the NAT.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use privileged_tests::containers::{address, exec, remove};
use privileged_tests::fixtures::Fixture;
use privileged_tests::{Client, Daemon, skip, until};

const IMAGE: &str = "programs:v1";
/// Makes a database in `$1` unless there is one, and serves it to everybody who knows the password.
const POSTGRES: &str = r#"
d=$1; bin=/usr/lib/postgresql/15/bin
if [ ! -e $d/PG_VERSION ]; then
  mkdir -p $d; chown postgres $d; chmod 700 $d
  echo "$POSTGRES_PASSWORD" >/tmp/password; chmod 644 /tmp/password
  su postgres -c "$bin/initdb -N -D $d -A scram-sha-256 --pwfile=/tmp/password" || exit 9
  echo "host all all all scram-sha-256" >>$d/pg_hba.conf
fi
exec su postgres -c "exec $bin/postgres -D $d -c listen_addresses=* -c jit=off -c fsync=off -c unix_socket_directories=/tmp"
"#;

/// A container of the image; gives its name.
fn start(daemon: &Daemon, client: &Client, stem: &str, options: &[&str], command: &[&str]) -> String {
    daemon.image(Fixture::Programs);
    let name = daemon.name(stem);
    client.run(&[&["run", "-d", "--name", &name], options, &[IMAGE], command].concat()).exits(0);
    name
}

#[test]
fn use_16_a_replica_finds_its_master_by_name() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let net = daemon.name("redis");
        client.run(&["network", "create", &net]).exits(0);
        let serve = ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", ""];
        let on_net = ["--network", net.as_str()];
        let master = start(daemon, &client, "redis-master", &on_net, &serve);
        let follow = [&serve[..], &["--replicaof", &master, "6379", "--repl-timeout", "5"]].concat();
        let replica = start(daemon, &client, "redis-slave", &on_net, &follow);
        let linked = || {
            let info = exec(&client, &replica, "redis-cli info replication");
            (info.contains("role:slave") && info.contains("master_link_status:up")).then_some(())
        };
        until("the replica is linked", 60, linked);
        let says = |text: &str| {
            until("the master takes it", 60, || {
                exec(&client, &master, &format!("redis-cli set greeting {text}")).starts_with("OK").then_some(())
            });
            until("the replica has it", 60, || {
                (exec(&client, &replica, "redis-cli get greeting").trim() == text).then_some(())
            });
        };
        says("hello");
        // The master starts again, at another address: somebody took its own.
        let before = address(&client, &master);
        client.run(&["stop", "-t", "5", &master]).exits(0);
        let thief = start(daemon, &client, "thief", &on_net, &["sleep", "1000"]);
        client.run(&["start", &master]).exits(0);
        assert_eq!(address(&client, &thief) == before, address(&client, &master) != before);
        says("again");
        until("the replica is linked again", 60, linked);
        remove(&client, &[&master, &replica, &thief]);
        client.run(&["network", "rm", &net]).exits(0);
    }
}

fn postgres(daemon: &Daemon, client: &Client, directory: &str, options: &[&str]) -> String {
    let options = [&["-e", "POSTGRES_PASSWORD=s3cret", "--expose", "5432"], options].concat();
    start(daemon, client, "db", &options, &["sh", "-c", POSTGRES, "sh", directory])
}

/// What a database says to a question asked in a container, once it says something.
fn says(client: &Client, container: &str, host: &str, question: &str) -> String {
    let ask = format!(
        "PGPASSWORD=${{DB_ENV_POSTGRES_PASSWORD:-s3cret}} PGCONNECT_TIMEOUT=5 psql -h {host} -U postgres -tAc \"{question}\""
    );
    until("the database answers", 90, || {
        let run = client.run(&["exec", container, "sh", "-c", &ask]);
        (run.code == 0).then(|| run.stdout.trim().to_owned())
    })
}

#[test]
fn lnk_13_a_linked_database_answers_by_hosts_and_by_variables() {
    let daemon = Daemon::shared();
    let client = daemon.stock();
    let db = postgres(daemon, &client, "/srv/db", &[]);
    let web = start(daemon, &client, "web", &["--link", &format!("{db}:db")], &["sleep", "1000"]);
    assert_eq!(says(&client, &web, "db -p $DB_PORT_5432_TCP_PORT", "select 6*7"), "42");
    assert_eq!(says(&client, &web, "$DB_PORT_5432_TCP_ADDR", "create table t as select 5 as n"), "SELECT 1");
    let variables = exec(&client, &web, "env");
    assert!(variables.contains(&format!("DB_PORT=tcp://{}:5432\n", address(&client, &db))), "{variables}");
    // The database starts again at another address; the name follows it.
    let before = address(&client, &db);
    client.run(&["stop", "-t", "5", &db]).exits(0);
    let mut thieves = Vec::new();
    until("another address", 60, || {
        thieves.push(start(daemon, &client, "thief", &[], &["sleep", "1000"]));
        client.run(&["start", &db]).exits(0);
        let moved = address(&client, &db) != before;
        if !moved {
            client.run(&["stop", "-t", "5", &db]).exits(0);
        }
        moved.then_some(())
    });
    assert_eq!(says(&client, &web, "db", "select n from t"), "5");
    thieves.extend([web, db]);
    remove(&client, &thieves.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn use_17_databases_share_the_volume_of_a_data_container() {
    let daemon = Daemon::shared();
    let client = daemon.stock();
    daemon.image(Fixture::Programs);
    let data = daemon.name("dbdata");
    client.run(&["create", "--name", &data, "-v", "/dbdata", IMAGE, "true"]).exits(0);
    let first = postgres(daemon, &client, "/dbdata/pg", &["--volumes-from", &data]);
    assert_eq!(says(&client, &first, "127.0.0.1", "create table t as select 17 as n"), "SELECT 1");
    // Two at once mount the same volume; one of them works with the database in it.
    let second = start(daemon, &client, "db2", &["--volumes-from", &data], &["sleep", "1000"]);
    let volume = |name: &str| client.run(&["inspect", "-f", "{{(index .Mounts 0).Name}}", name]).ok().to_owned();
    assert_eq!((volume(&first), volume(&second)), (volume(&data), volume(&data)));
    assert_eq!(exec(&client, &second, "cat /dbdata/pg/PG_VERSION").trim(), "15");
    client.run(&["stop", "-t", "30", &first]).exits(0);
    client.run(&["rm", &first]).exits(0);
    let third = postgres(daemon, &client, "/dbdata/pg", &["--volumes-from", &data]);
    assert_eq!(says(&client, &third, "127.0.0.1", "select n from t"), "17");
    remove(&client, &[&second, &third, &data]);
}

const SERVER: &str = r#"<Server port="-1"><Service name="Catalina"><Connector port="8080"/>
<Engine name="Catalina" defaultHost="localhost">
<Cluster className="org.apache.catalina.ha.tcp.SimpleTcpCluster" channelSendOptions="6"/>
<Host name="localhost" appBase="webapps" autoDeploy="false"/>
</Engine></Service></Server>
"#;
const APPLICATION: &str = r#"<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="5.0"><distributable/>
<servlet><servlet-name>jsp</servlet-name><servlet-class>org.apache.jasper.servlet.JspServlet</servlet-class></servlet>
<servlet-mapping><servlet-name>jsp</servlet-name><url-pattern>*.jsp</url-pattern></servlet-mapping>
</web-app>
"#;
const PAGE: &str = r#"<% Integer n = (Integer) session.getAttribute("n"); n = n == null ? 1 : n + 1;
session.setAttribute("n", n); %>node <%= System.getProperty("node") %> count <%= n %>
"#;
/// `tomcat1` and `tomcat2` are put in by the test.
const PROXY: &str = "events {}\nhttp { upstream cluster { server tomcat1:8080; server tomcat2:8080; }\n\
                     server { listen 80; location / { proxy_pass http://cluster; proxy_connect_timeout 5s; } } }\n";

/// Files that everybody may read and write, whoever runs the tests.
fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).expect("opened");
}

fn tomcat(daemon: &Daemon, client: &Client, net: &str, node: &str) -> String {
    let base = daemon.scratch(&daemon.name("tomcat"));
    put(&base.join("conf/server.xml"), SERVER);
    put(&base.join("webapps/ROOT/WEB-INF/web.xml"), APPLICATION);
    put(&base.join("webapps/ROOT/index.jsp"), PAGE);
    fs::create_dir_all(base.join("temp")).expect("made");
    let mount = format!("{}:/srv/tomcat", base.display());
    let java = format!("CATALINA_OPTS=-Dnode={node} -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1");
    let options = [
        "--network",
        net,
        "-v",
        &mount,
        "-e",
        "CATALINA_HOME=/usr/share/tomcat10",
        "-e",
        "CATALINA_BASE=/srv/tomcat",
        "-e",
        &java,
    ];
    start(daemon, client, node, &options, &["/usr/share/tomcat10/bin/catalina.sh", "run"])
}

/// The page in a session: which node wrote it, and how often it was seen.
fn look(url: &str, cookies: &Path) -> Option<(String, u32)> {
    let jar = cookies.display().to_string();
    let output =
        Command::new("curl").args(["-fs", "--max-time", "10", "-b", &jar, "-c", &jar, url]).output().expect("curl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        ["node", node, "count", count] => Some((node.to_owned(), count.parse().ok()?)),
        _ => None,
    }
}

#[test]
fn use_19_two_tomcats_behind_one_nginx_share_their_sessions() {
    let daemon = Daemon::shared();
    let client = daemon.stock();
    let net = daemon.name("cluster");
    client.run(&["network", "create", &net]).exits(0);
    let nodes = [tomcat(daemon, &client, &net, "a"), tomcat(daemon, &client, &net, "b")];
    let files = daemon.scratch(&daemon.name("nginx"));
    let conf = files.join("nginx.conf");
    put(&conf, &PROXY.replace("tomcat1", &nodes[0]).replace("tomcat2", &nodes[1]));
    let mount = format!("{}:/etc/nginx/nginx.conf:ro", conf.display());
    let options = ["--network", &net, "-p", "127.0.0.1::80", "-v", &mount];
    let proxy = start(daemon, &client, "nginx", &options, &["nginx", "-g", "daemon off;"]);
    let port = client.run(&["port", &proxy, "80/tcp"]).ok().to_owned();
    let url = format!("http://{port}/index.jsp");
    let mut attempt = 0;
    let jar = until("both nodes serve one session", 120, || {
        attempt += 1;
        let jar = files.join(format!("cookies{attempt}"));
        let seen: Vec<(String, u32)> = (0..6).filter_map(|_| look(&url, &jar)).collect();
        let both = ["a", "b"].iter().all(|node| seen.iter().any(|(seen, _)| seen == node));
        (both && seen.iter().map(|(_, count)| *count).eq(1..=6)).then_some(jar)
    });
    // One node dies; the other one knows the session.
    client.run(&["kill", &nodes[0]]).exits(0);
    let (node, count) = until("the other node answers", 60, || look(&url, &jar));
    assert_eq!(node, "b");
    assert!(count >= 7, "{count}");
    remove(&client, &[&proxy, &nodes[0], &nodes[1]]);
    client.run(&["network", "rm", &net]).exits(0);
}

#[test]
fn a_container_updates_its_packages_through_the_nat() {
    let daemon = Daemon::shared();
    let mirror = Command::new("timeout").args(["60", "apt-get", "--print-uris", "update"]).output().expect("apt-get");
    let text = String::from_utf8_lossy(&mirror.stdout).into_owned();
    let Some(uri) = text.split('\'').nth(1).filter(|uri| uri.starts_with("http")) else {
        return skip("apt on this machine knows no mirror by HTTP");
    };
    let reached =
        Command::new("curl").args(["-fsI", "--noproxy", "*", "--max-time", "30", uri]).output().expect("curl");
    if !reached.status.success() {
        return skip("the mirror is not reached without a proxy");
    }
    daemon.image(Fixture::Debian);
    let net = daemon.name("net");
    daemon.docker(&["network", "create", &net]).exits(0);
    for network in ["bridge", &net] {
        let update = "apt-get -o Acquire::Retries=3 update && apt-cache policy nginx-light";
        let run = daemon.docker(&["run", "--rm", "--network", network, "debian:bookworm", "sh", "-c", update]);
        assert!(run.ok().contains("Candidate: 1."), "{run}");
    }
    daemon.docker(&["network", "rm", &net]).exits(0);
}
