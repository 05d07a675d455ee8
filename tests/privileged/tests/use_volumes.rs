//! Real servers that keep their files outside of their containers: rows USE-03, USE-04, USE-06, USE-14, USE-17. What a
//! database has acknowledged is there after `rm`, after an upgrade of its image, after the daemon's death, and after
//! backup, wipe and restore.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use privileged_tests::building::{classic, context, image, words};
use privileged_tests::containers::remove;
use privileged_tests::fixtures::Fixture;
use privileged_tests::{Client, Daemon, Options, until};

/// A page, or `None` while nobody serves it.
fn page(port: &str, path: &str) -> Option<String> {
    let url = format!("http://{port}{path}");
    let output = Command::new("curl").args(["-s", "--noproxy", "*", "--max-time", "10", &url]).output().expect("curl");
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

fn serves(port: &str, path: &str, expected: &str) {
    until("the page is as expected", 60, || (page(port, path)? == expected).then_some(()));
}

/// Files that the server reads as another user.
fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

const HTTPD: &str = "/usr/sbin/apache2ctl";

#[test]
fn use_03_httpd_serves_the_hosts_files() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Services);
    for client in daemon.clients() {
        let (name, www) = (daemon.name("httpd"), daemon.scratch(&daemon.name("www")));
        put(&www.join("index.html"), "daniel\n");
        let bind = format!("{}/:/www", www.display());
        let options = ["run", "-d", "-p", "127.0.0.1::80", "-v", &bind, &format!("--name={name}")];
        client.run(&[&options[..], &["services:v1", HTTPD, "-D", "FOREGROUND"]].concat()).ok();
        let port = client.run(&["port", &name, "80/tcp"]).ok().to_owned();
        serves(&port, "/", "daniel");
        put(&www.join("index.html"), "edited\n");
        assert_eq!(page(&port, "/").as_deref(), Some("edited"), "at once");
        remove(&client, &[&name]);
    }
}

const HTTPD_CONF: &str = "LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
User www-data
Group www-data
PidFile /tmp/httpd.pid
Listen 80
ServerName from.the.host
DocumentRoot /www
ErrorDocument 404 \"nothing at the host's place\"
ErrorLog /dev/stderr
";

#[test]
fn use_04_a_command_over_several_lines_mounts_pages_and_configuration() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Services);
    for client in daemon.clients() {
        let (name, files) = (daemon.name("httpd"), daemon.scratch(&daemon.name("test")));
        let (www, conf) = (files.join("httpd_www"), files.join("httpd.conf"));
        put(&conf, HTTPD_CONF);
        let script = format!(
            "\"$client\" run -d --name {name} -p 127.0.0.1::80 \\\n\
             -v {}:/www  -v {}:/etc/apache2/apache2.conf \\\n\
             services:v1 {HTTPD} -DFOREGROUND\n",
            www.display(),
            conf.display()
        );
        let mut shell = Command::new("sh");
        client.environment(&mut shell);
        let output = shell.args(["-c", &script]).env("client", &client.program).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(www.is_dir(), "made by the engine");
        let port = client.run(&["port", &name, "80/tcp"]).ok().to_owned();
        serves(&port, "/index.html", "nothing at the host's place");
        put(&www.join("index.html"), "the host's page\n");
        assert_eq!(page(&port, "/").as_deref(), Some("the host's page"));
        remove(&client, &[&name]);
    }
}

/// A database that tests know how to start and to ask.
struct Kind {
    /// Where it keeps its files.
    place: &'static str,
    /// Started with the directory as its argument.
    start: &'static str,
    environment: &'static [&'static str],
    fixture: Fixture,
    /// A shell function that takes a statement.
    ask: &'static str,
}

const MARIADB: Kind = Kind {
    place: "/var/lib/mysql",
    start: r#"
set -e; d=$1; mkdir -p /run/mysqld; chown mysql /run/mysqld
set -- mariadbd --no-defaults --user=mysql --datadir=$d --bind-address=0.0.0.0 --socket=/run/mysqld/mysqld.sock \
  --skip-name-resolve --innodb-buffer-pool-size=16M --innodb-log-file-size=8M --innodb-use-native-aio=0
if [ ! -d $d/mysql ]; then
  chown mysql $d
  mariadb-install-db --no-defaults --user=mysql --datadir=$d --skip-test-db >/dev/null
  printf "alter user root@localhost identified by '%s';\ncreate user root@'%%' identified by '%s';\n" \
    "$MYSQL_ROOT_PASSWORD" "$MYSQL_ROOT_PASSWORD" >/tmp/init.sql
  printf "grant all on *.* to root@'%%' with grant option;\ncreate database d;\n" >>/tmp/init.sql
  set -- "$@" --init-file=/tmp/init.sql
fi
exec "$@"
"#,
    environment: &["-e", "MYSQL_ROOT_PASSWORD=123"],
    fixture: Fixture::Services,
    ask: r#"ask() { mysql -h 127.0.0.1 -u root -p123 -N -e "$1" d; }"#,
};

const POSTGRES: Kind = Kind {
    place: "/dbdata",
    start: r#"
d=$1/pg; bin=/usr/lib/postgresql/15/bin
if [ ! -e $d/PG_VERSION ]; then
  mkdir -p $d; chown postgres $d; chmod 700 $d
  su postgres -c "$bin/initdb -N -D $d -A trust" >/dev/null || exit 9
fi
rm -f $d/postmaster.pid
exec su postgres -c "exec $bin/postgres -D $d -c listen_addresses=* -c jit=off -c unix_socket_directories=/tmp"
"#,
    environment: &[],
    fixture: Fixture::Programs,
    ask: r#"ask() { PGCONNECT_TIMEOUT=5 psql -h 127.0.0.1 -U postgres -v ON_ERROR_STOP=1 -qtAc "$1"; }"#,
};

/// A database in a container.
struct Database<'a> {
    client: Client,
    kind: &'a Kind,
    name: String,
}

impl<'a> Database<'a> {
    /// Starts one with these files of its own.
    fn start(daemon: &Daemon, kind: &'a Kind, image: &str, options: &[&str]) -> Self {
        let (client, name) = (daemon.clients().pop().unwrap(), daemon.name("db"));
        let start = ["run", "-d", "--name", &name];
        let command = [image, "sh", "-c", kind.start, "sh", kind.place];
        client.run(&[&start[..], kind.environment, options, &command].concat()).ok();
        Self { client, kind, name }
    }

    fn says(&self, statement: &str) -> String {
        let script = format!("{}\nask \"$1\"", self.kind.ask);
        until("the database answers", 120, || {
            let run = self.client.run(&["exec", &self.name, "sh", "-c", &script, "sh", statement]);
            (run.code == 0).then(|| run.stdout.trim().to_owned())
        })
    }

    /// Inserts numbers without end; those that were acknowledged are in a file outside of the volume.
    fn write_on(&self, from: u64) {
        let script = format!(
            "{}\ni={from}; while ask \"insert into t values ($i)\" >/dev/null; do echo $i >>/tmp/acknowledged; \
             i=$((i+1)); done",
            self.kind.ask
        );
        self.client.run(&["exec", "-d", &self.name, "sh", "-c", &script]).ok();
    }

    /// Waits for more acknowledged numbers; gives the last one. Looks at the file itself: the daemon may be dead.
    fn acknowledged(&self, pid: u32, more_than: u64) -> u64 {
        let path = format!("/proc/{pid}/root/tmp/acknowledged");
        until("more is written", 120, || {
            let text = fs::read_to_string(&path).ok()?;
            // The last line may be half written.
            let (whole, _) = text.rsplit_once('\n')?;
            whole.lines().next_back()?.parse().ok().filter(|number| *number > more_than)
        })
    }

    /// Every number up to this one is there, once.
    fn has_all(&self, last: u64) {
        assert_eq!(self.says(&format!("select count(distinct n) from t where n <= {last}")), last.to_string());
        assert_eq!(self.says("select count(*) - count(distinct n) from t"), "0");
    }

    fn remove(self) {
        remove(&self.client, &[&self.name]);
    }
}

/// A database over its whole life.
fn survives(kind: &Kind) {
    let daemon = Daemon::start(Options { images: vec![kind.fixture], ..Options::default() });
    let volume = daemon.name("data");
    let bind = format!("{volume}:{}", kind.place);
    let mounted = ["-v", bind.as_str(), "--restart=always"];
    let start = |image: &str| Database::start(&daemon, kind, image, &mounted);
    let one = start(kind.fixture.reference());
    one.says("create table t (n bigint)");
    one.says("insert into t values (1), (2), (3)");
    one.remove();
    // Another container, of a newer image.
    let newer =
        image(&daemon, &daemon.stock(), &format!("FROM {}\nRUN echo 2 >/edition\n", kind.fixture.reference()), &[]);
    let two = start(&newer);
    two.has_all(3);
    // The daemon dies while the database writes, which does not notice.
    two.write_on(4);
    let pid = daemon.container_pid(&two.name);
    let before = two.acknowledged(pid, 5);
    daemon.kill();
    let last = two.acknowledged(pid, before + 5);
    daemon.launch();
    assert_eq!(daemon.container_pid(&two.name), pid);
    let last = two.acknowledged(pid, last + 1);
    // The database dies at work; its restart policy brings it back.
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid.cast_signed()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    until("it runs again", 120, || (daemon.inspect(&two.name, "{{.RestartCount}}") != "0").then_some(()));
    two.has_all(last);
    if daemon.is_reference() {
        return two.remove();
    }
    // Copies of one moment, made while it writes.
    let next: u64 = two.says("select max(n) from t").parse().unwrap();
    two.write_on(next + 1);
    let pid = daemon.container_pid(&two.name);
    let archive = daemon.scratch("backup").join("v.tar.zst").display().to_string();
    let copied = two.acknowledged(pid, next + 3);
    two.client.run(&["volume", "backup", "--pause", "-o", &archive, &volume]).ok();
    let snapshot = two.client.run(&["volume", "snapshot", &volume]).ok().to_owned();
    let client = two.client.clone();
    two.remove();
    // Wiped, and back again.
    client.run(&["volume", "rm", &volume]).ok();
    client.run(&["volume", "restore", "-i", &archive, &volume]).ok();
    let three = start(&newer);
    three.has_all(copied);
    three.says("delete from t");
    three.remove();
    client.run(&["volume", "restore", "--force", "--from", &snapshot, &volume]).ok();
    let four = start(&newer);
    four.has_all(copied);
    four.remove();
}

#[test]
fn use_06_mariadb_keeps_its_rows_whatever_happens() {
    survives(&MARIADB);
}

#[test]
fn use_17_postgres_keeps_its_rows_whatever_happens() {
    survives(&POSTGRES);
}

/// Whether somebody can log in and has all rights, as one on the host would find out.
fn logs_in(daemon: &Daemon, port: &str, user: &str) {
    let (host, port) = port.rsplit_once(':').unwrap();
    let question = "show grants; select 40 + 2";
    let ask = ["mysql", "-h", host, "-P", port, "-u", user, "-p123", "-N", "-e", question];
    let answer = until("the database answers", 120, || {
        let run = daemon.docker(&[&["run", "--rm", "--network", "host", "services:v1"], &ask[..]].concat());
        // It may answer while it is still being set up.
        (run.code == 0 && run.stdout.contains("GRANT ALL PRIVILEGES ON *.*")).then_some(run.stdout)
    });
    assert!(answer.ends_with("42\n"), "{answer}");
}

#[test]
fn use_06_mysql_keeps_its_data_on_the_host() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Services);
    let data = daemon.scratch(&daemon.name("data")).join("mysql");
    let bind = format!("{}:/var/lib/mysql", data.display());
    let options = ["-p", "127.0.0.1::3306", "-v", &bind, "--restart=always"];
    let database = Database::start(daemon, &MARIADB, "services:v1", &options);
    let port = database.client.run(&["port", &database.name, "3306/tcp"]).ok().to_owned();
    logs_in(daemon, &port, "root");
    let names: Vec<String> =
        fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    for name in ["ibdata1", "ib_logfile0", "mysql", "performance_schema"] {
        assert!(names.iter().any(|found| found == name), "{names:?}");
    }
    // Its files have the owner of the image's database.
    let owner = database.client.run(&["exec", &database.name, "stat", "-c", "%U", "/var/lib/mysql/ibdata1"]);
    assert_eq!(owner.ok(), "mysql");
    database.remove();
}

const MARIADB_SH: &str = r#"#!/bin/bash
mysql_install_db --force --datadir=/var/lib/mysql/ --user=mysql
mysqld_safe --defaults-file=/etc/my.cnf &
until mysqladmin ping; do sleep 1; done

mysql -e "grant all privileges on *.* to 'root'@'%' identified by '123';"
mysql -e "grant all privileges on *.* to 'abc'@'%' identified by '123';"
mysql -e "flush privileges;"
"#;
const MY_CNF: &str = "[mysqld]\nuser=mysql\ndatadir=/var/lib/mysql\nsocket=/run/mysqld/mysqld.sock\nbind-address=0.0.0.0\n\
                      skip-name-resolve\ninnodb-buffer-pool-size=16M\ninnodb-log-file-size=8M\ninnodb-use-native-aio=0\n";
const MARIADB_DOCKERFILE: &str = "FROM services:v1\nMAINTAINER daniel\nRUN mkdir -p /run/mysqld /var/lib/mysql && \
                                  chown mysql /run/mysqld /var/lib/mysql\nADD my.cnf /etc/my.cnf\nCOPY mariadb.sh .\n\
                                  RUN sh mariadb.sh\nEXPOSE 3306\nCMD mysqld_safe --defaults-file=/etc/my.cnf\n";

#[test]
fn use_14_mariadb_is_set_up_by_a_script_in_its_build() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Services);
    let (client, tag) = (daemon.clients().pop().unwrap(), format!("{}:v1", daemon.name("my-mariadb")));
    let files = [("dockerfile_mariadb", MARIADB_DOCKERFILE), ("mariadb.sh", MARIADB_SH), ("my.cnf", MY_CNF)];
    let directory = context(daemon, &files);
    let build = format!("build -f {directory}/dockerfile_mariadb -t {tag} {directory}");
    let build: Vec<&str> = build.split(' ').collect();
    classic(&client).run(&words(&client, &build)).ok();
    let name = daemon.name("mariadb");
    client.run(&["run", "-d", "-p", "127.0.0.1::3306", "--name", &name, &tag]).ok();
    let port = client.run(&["port", &name, "3306/tcp"]).ok().to_owned();
    logs_in(daemon, &port, "abc");
    logs_in(daemon, &port, "root");
    remove(&client, &[&name]);
    client.run(&["rmi", &tag]).ok();
}
