//! Who carries steps out.

use super::event::Event;
use crate::config::Config;

/// What a step does, whole: with the image below it, it is the step's identity.
#[derive(Clone, Debug)]
pub struct Record<'a, I> {
    /// The image below; `None` for none.
    pub parent: Option<&'a I>,
    /// What the new image is configured to.
    pub config: &'a Config,
    /// The command that a container of this step has, as the history shows it.
    pub command: Vec<String>,
    /// It is a RUN, whose command stands for itself: neither entrypoint nor container belong to the record.
    pub is_run: bool,
    /// Who made it.
    pub author: &'a str,
}

/// An image to begin with.
#[derive(Clone, Debug)]
pub struct Base<I> {
    /// It.
    pub image: I,
    /// Its configuration.
    pub config: Config,
}

/// Where files come from.
#[derive(Clone, Debug)]
pub enum Origin<I> {
    /// The context of the build.
    Context,
    /// The files of an image; `None` for those of no image.
    Image(Option<I>),
}

/// Where one of several files comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A path or pattern.
    Path(String),
    /// An address.
    Url(String),
    /// It stands in the Dockerfile: name and text.
    Inline(String, String),
}

/// What is to be copied.
#[derive(Clone, Debug)]
pub struct Sources<I> {
    /// Where paths lead.
    pub origin: Origin<I>,
    /// What, in order.
    pub contents: Vec<Content>,
    /// ADD: archives are unpacked. `Some(true)` those of addresses too, `Some(false)` none.
    pub unpack: Option<bool>,
    /// Whether archives of the context are unpacked when `unpack` says nothing.
    pub is_add: bool,
    /// What the one file has to be, as `sha256:…`.
    pub checksum: Option<String>,
}

/// Where files go.
#[derive(Clone, Debug)]
pub struct Target {
    /// Absolute; a slash at the end means a directory.
    pub path: String,
    /// `--chown`.
    pub owner: Option<String>,
    /// `--chmod`.
    pub mode: Option<u32>,
    /// What comes from an image keeps its owners, unless told otherwise.
    pub keep_owners: bool,
}

/// RUN's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// That of the build.
    Default,
    /// Loopback only.
    None,
    /// The host's.
    Host,
}

/// A here-document that is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// Its text.
    pub content: String,
}

/// A command to run.
#[derive(Clone, Debug)]
pub struct RunStep {
    /// Its words.
    pub command: Vec<String>,
    /// Its environment.
    pub env: Vec<String>,
    /// Its network.
    pub network: Network,
    /// A file that it finds at `/dev/pipes/<name>`.
    pub script: Option<Script>,
}

/// Carries out steps. Every method may take its time; one that notices that the build is called off fails.
pub trait Worker {
    /// An image; displayed as its id.
    type Image: Clone + std::fmt::Display;
    /// Sources that have been looked at.
    type Found;
    /// Why something failed.
    type Error: std::error::Error + 'static;

    /// Tells users something.
    fn tell(&mut self, event: Event);

    /// Whether the build is called off.
    fn is_cancelled(&self) -> bool;

    /// Finds an image by name, here or on its registry.
    ///
    /// # Errors
    /// That there is none.
    fn base(&mut self, name: &str, platform: Option<&str>) -> Result<Base<Self::Image>, Self::Error>;

    /// The image that a step with this record made before.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn cached(&mut self, record: &Record<'_, Self::Image>) -> Result<Option<Self::Image>, Self::Error>;

    /// An image with another configuration. `directory`: this one is there too.
    ///
    /// # Errors
    /// When it cannot be made.
    fn configure(
        &mut self,
        record: &Record<'_, Self::Image>,
        directory: Option<&str>,
    ) -> Result<Self::Image, Self::Error>;

    /// Looks sources up; gives a text that is the same whenever the content is.
    ///
    /// # Errors
    /// When something is not there.
    fn find(&mut self, sources: &Sources<Self::Image>) -> Result<(String, Self::Found), Self::Error>;

    /// How many files or directories were found.
    fn count(&self, found: &Self::Found) -> usize;

    /// An image with these files.
    ///
    /// # Errors
    /// When they cannot be copied.
    fn copy(
        &mut self,
        record: &Record<'_, Self::Image>,
        found: Self::Found,
        target: &Target,
    ) -> Result<Self::Image, Self::Error>;

    /// Runs a command on top of an image; the other outcome is its exit code.
    ///
    /// # Errors
    /// When it cannot be run.
    fn run(
        &mut self,
        record: &Record<'_, Self::Image>,
        step: &RunStep,
    ) -> Result<Result<Self::Image, i32>, Self::Error>;
}
