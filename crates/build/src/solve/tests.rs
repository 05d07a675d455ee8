//! The walk with a worker that makes nothing: images are numbers, and everything asked of it is written down.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::*;
use crate::config::Config;
use crate::dockerfile::Dockerfile;

#[derive(Default)]
struct Paper {
    events: Vec<Event>,
    asked: Vec<String>,
    images: u32,
    /// Commands that were done before.
    done: Vec<String>,
    /// What the base image has for its children.
    triggers: Vec<String>,
}

impl Paper {
    fn make(&mut self, what: String) -> Result<u32, Infallible> {
        self.asked.push(what);
        self.images += 1;
        Ok(self.images)
    }

    /// The texts of the steps, and where the cache was used.
    fn told(&self) -> Vec<String> {
        let told = |event: &Event| match event {
            Event::Step { number, total, text } => Some(format!("{number}/{total} {text}")),
            Event::UsingCache => Some("cached".to_owned()),
            Event::Triggers(count) => Some(format!("triggers {count}")),
            Event::Warning(text) => Some(text.clone()),
            _ => None,
        };
        self.events.iter().filter_map(told).collect()
    }
}

impl Worker for Paper {
    type Image = u32;
    type Found = String;
    type Error = Infallible;

    fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    fn is_cancelled(&self) -> bool {
        false
    }

    fn base(&mut self, name: &str, _: Option<&str>) -> Result<Base<u32>, Infallible> {
        let image = self.make(format!("base {name}"))?;
        let env = vec!["PATH=/bin".to_owned(), "FROM_BASE=1".to_owned()];
        let cmd = Some(vec!["base".to_owned()]);
        Ok(Base { image, config: Config { env, cmd, on_build: self.triggers.clone(), ..Config::default() } })
    }

    fn cached(&mut self, record: &Record<'_, u32>) -> Result<Option<u32>, Infallible> {
        let command = record.command.join(" ");
        Ok(self.done.contains(&command).then_some(99))
    }

    fn configure(&mut self, record: &Record<'_, u32>, directory: Option<&str>) -> Result<u32, Infallible> {
        let directory = directory.map(|path| format!(" mkdir {path}")).unwrap_or_default();
        self.make(format!("{}{directory}", record.command.join(" ")))
    }

    fn find(&mut self, sources: &Sources<u32>) -> Result<(String, String), Infallible> {
        Ok(("file:digest".to_owned(), format!("{:?} {:?}", sources.origin, sources.contents)))
    }

    fn count(&self, _: &String) -> usize {
        1
    }

    fn copy(&mut self, record: &Record<'_, u32>, found: String, target: &Target) -> Result<u32, Infallible> {
        self.make(format!("{}| {found} -> {}", record.command.join(" "), target.path))
    }

    fn run(&mut self, record: &Record<'_, u32>, step: &RunStep) -> Result<Result<u32, i32>, Infallible> {
        if step.command.last().is_some_and(|text| text == "fail") {
            return Ok(Err(3));
        }
        let image = self.make(format!("{} with {}", record.command.join(" "), step.env.join(",")))?;
        Ok(Ok(image))
    }
}

fn run(paper: &mut Paper, text: &str, options: &Options) -> Result<u32, String> {
    let dockerfile = Dockerfile::parse("Dockerfile", text.as_bytes()).expect("parses");
    solve(&dockerfile, options, paper).map_err(|failure| failure.to_string())
}

#[test]
fn stages_follow_each_other_with_their_arguments() {
    let text =
        "ARG B=base\nFROM $B AS One\nARG V=1\nENV E=$V\nRUN x\nFROM scratch\nWORKDIR /w\nCOPY --from=one /a b/\n";
    let options = Options {
        arguments: BTreeMap::from([("V".to_owned(), Some("2".to_owned())), ("U".to_owned(), None)]),
        labels: BTreeMap::from([("l".to_owned(), "m".to_owned())]),
        ..Options::default()
    };
    let mut paper = Paper::default();
    assert_eq!(run(&mut paper, text, &options), Ok(7));
    assert_eq!(
        paper.asked,
        [
            "base base",
            "/bin/sh -c #(nop)  ARG V=1",
            "/bin/sh -c #(nop)  ENV E=2",
            "|1 V=2 /bin/sh -c x with PATH=/bin,FROM_BASE=1,E=2,V=2",
            "/bin/sh -c #(nop) WORKDIR /w mkdir /w",
            "/bin/sh -c #(nop) COPY file:digest in b/ | Image(Some(4)) [Path(\"/a\")] -> /w/b/",
            "/bin/sh -c #(nop)  LABEL l=m",
        ]
    );
    let told = [
        "1/9 ARG B=base",
        "2/9 FROM $B AS One",
        "3/9 ARG V=1",
        "4/9 ENV E=$V",
        "5/9 RUN x",
        "6/9 FROM scratch",
        "7/9 WORKDIR /w",
        "8/9 COPY --from=one /a b/",
        "9/9 LABEL l=m",
        "[Warning] One or more build-args [U] were not consumed",
    ];
    assert_eq!(paper.told(), told);
}

#[test]
fn what_was_done_is_taken_and_triggers_come_first() {
    let mut paper = Paper {
        done: vec!["/bin/sh -c #(nop)  ENV T=1".to_owned()],
        triggers: vec!["ENV T=1".to_owned(), "RUN y".to_owned()],
        ..Paper::default()
    };
    assert_eq!(run(&mut paper, "FROM b\nENTRYPOINT [\"e\"]\n", &Options::default()), Ok(3));
    assert_eq!(paper.told(), ["1/2 FROM b", "triggers 2", "cached", "2/2 ENTRYPOINT [\"e\"]"]);
    assert_eq!(paper.asked[1], "/bin/sh -c y with PATH=/bin,FROM_BASE=1,T=1");
    paper.triggers = vec!["ONBUILD RUN z".to_owned()];
    let refused = run(&mut paper, "FROM b\n", &Options::default()).expect_err("chained");
    assert!(refused.contains("Chaining ONBUILD"), "{refused}");
}

#[test]
fn what_cannot_be_done_is_refused_in_dockers_words() {
    for (text, expected) in [
        ("FROM b\nRUN fail\n", "The command '/bin/sh -c fail' returned a non-zero code: 3"),
        ("FROM $NO\n", "base name ($NO) should not be blank"),
        ("FROM scratch\n", "No image was generated. Is your Dockerfile empty?"),
        ("FROM b AS a\nFROM b AS a\n", "a stage name already used"),
        ("FROM b\nCOPY --from=4 x y\n", "invalid from flag value 4: index out of bounds"),
        ("FROM b\nCOPY http://x/y z\n", "COPY failed: source can't be a URL for COPY"),
        ("FROM b\nRUN --mount=type=cache,target=/x y\n", &format!("the --mount option {BUILDKIT}")),
        ("FROM b\nCOPY --link x y\n", &format!("the --link option {BUILDKIT}")),
        (
            "FROM b\nCOPY --chmod=9 x y\n",
            "invalid chmod parameter: '9'. it should be octal string and between 0 and 07777",
        ),
    ] {
        let refused = run(&mut Paper::default(), text, &Options::default());
        assert_eq!(refused, Err(expected.to_owned()), "{text}");
    }
    let target = Options { target: Some("nosuch".to_owned()), ..Options::default() };
    let refused = run(&mut Paper::default(), "FROM b\n", &target);
    assert_eq!(refused, Err("failed to reach build target nosuch in Dockerfile".to_owned()));
}

#[test]
fn a_target_ends_the_walk() {
    let text = "FROM a AS one\nFROM b AS two\nFROM c\n";
    for (target, last) in [("ONE", 1), ("1", 2)] {
        let options = Options { target: Some(target.to_owned()), ..Options::default() };
        assert_eq!(run(&mut Paper::default(), text, &options), Ok(last), "{target}");
    }
}
