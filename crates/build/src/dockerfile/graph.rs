//! Which stages a build needs.

use super::instruction::Instruction;
use super::parse::Dockerfile;

// === impl Dockerfile ===

impl Dockerfile {
    /// The stage before `before` that has this name, in any case; the last one counts.
    #[must_use]
    pub fn stage_named(&self, name: &str, before: usize) -> Option<usize> {
        let stages = self.stages.iter().take(before);
        let name = name.to_lowercase();
        stages
            .enumerate()
            .rev()
            .find_map(|(at, stage)| (stage.from.instruction.name.as_ref() == Some(&name)).then_some(at))
    }

    /// What `--from` means in a stage: an earlier stage by name or number, else `None`, which is an image.
    #[must_use]
    pub fn source_stage(&self, from: &str, stage: usize) -> Option<usize> {
        let number = || from.parse().ok().filter(|number| *number < stage);
        self.stage_named(from, stage).or_else(number)
    }

    /// The stage a build is asked for: by name or number; the last one when it is not asked for one.
    #[must_use]
    pub fn target(&self, target: Option<&str>) -> Option<usize> {
        let Some(target) = target.filter(|target| !target.is_empty()) else { return Some(self.stages.len() - 1) };
        let number = || target.parse().ok().filter(|number| *number < self.stages.len());
        self.stage_named(target, self.stages.len()).or_else(number)
    }

    /// For each stage, whether the target is made of it. `bases` are the stages' images, expanded.
    #[must_use]
    pub fn needed(&self, target: usize, bases: &[String]) -> Vec<bool> {
        let mut needed = vec![false; self.stages.len()];
        // Stages only build on earlier ones.
        for at in (0..self.stages.len()).rev() {
            needed[at] |= at == target;
            if !needed[at] {
                continue;
            }
            let base = bases.get(at).and_then(|base| self.stage_named(base, at));
            let steps = self.stages[at].steps.iter();
            let sources =
                steps.flat_map(|step| sources(&step.instruction)).filter_map(|from| self.source_stage(&from, at));
            for stage in base.into_iter().chain(sources) {
                needed[stage] = true;
            }
        }
        needed
    }
}

/// Every `--from` and `from=` of an instruction.
fn sources(instruction: &Instruction) -> Vec<String> {
    match instruction {
        Instruction::Copy(copy) => copy.from.iter().cloned().collect(),
        // No variable may be in it, so it is known before they are.
        Instruction::Run(run) => run.mounts.iter().filter_map(super::mount::MountFlag::from).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_found_by_name_and_number() {
        let text = "FROM a AS One\nFROM b AS two\nCOPY --from=ONE /x /\nFROM c AS one\nRUN --mount=type=cache,from=1,target=/x y\n";
        let file = Dockerfile::parse("Dockerfile", text.as_bytes()).expect("a file");
        assert_eq!((file.target(None), file.target(Some("TWO")), file.target(Some("0"))), (Some(2), Some(1), Some(0)));
        assert_eq!((file.target(Some("three")), file.target(Some("3")), file.target(Some(""))), (None, None, Some(2)));
        // The last of a name counts, and never the stage itself or a later one.
        assert_eq!((file.source_stage("one", 2), file.source_stage("one", 3)), (Some(0), Some(2)));
        assert_eq!((file.source_stage("1", 1), file.source_stage("busybox", 2)), (None, None));
        let bases = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(file.needed(2, &bases), [true, true, true]);
        assert_eq!(file.needed(0, &bases), [true, false, false]);
        assert_eq!(file.needed(2, &["a", "b", "two"].map(str::to_owned)), [true, true, true]);
    }
}
