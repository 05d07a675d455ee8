//! States that forbid an action.

/// Why the container's present state forbids an action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateConflict {
    /// Needs a running container.
    #[error("container {0} is not running")]
    NotRunning(String),
    /// `kill` of a container that does not run.
    #[error("cannot kill container: {0}: container {1} is not running")]
    CannotKill(String, String),
    /// Attach to a container that has ended.
    #[error("cannot attach to a stopped container, start it first")]
    AttachStopped,
    /// Attach to a frozen container.
    #[error("container {0} is paused, unpause the container before attach")]
    AttachPaused(String),
    /// Attach to a container between two runs.
    #[error("container {0} is restarting, wait until the container is running")]
    AttachRestarting(String),
    /// The container is frozen.
    #[error("container {0} is paused, unpause the container before exec")]
    Paused(String),
    /// `pause` of a frozen container.
    #[error("container {0} is already paused")]
    AlreadyPaused(String),
    /// `unpause` of a container that is not frozen.
    #[error("Container {0} is not paused")]
    NotPaused(String),
    /// Its files are wanted as they are at one moment.
    #[error("container {0} cannot be frozen: it starts or ends again and again")]
    NotFrozen(String),
    /// Start of a running, or stop of a stopped container.
    #[error("container is already in that state")]
    Unchanged,
    /// Start of a frozen container.
    #[error("cannot start a paused container, try unpause instead")]
    StartPaused,
    /// `rm` of a running container.
    ///
    /// The first sentence is Docker 28's; clients of older engines look for the second.
    #[error(
        "cannot remove container \"{name}\": container is {state}: stop the container before removing or force \
         remove. You cannot remove a {state} container"
    )]
    RemoveRunning {
        /// Name with the slash.
        name: String,
        /// Present state.
        state: &'static str,
    },
    /// The container is being removed.
    #[error("removal of container {0} is already in progress")]
    BeingRemoved(String),
    /// Nothing can be changed any more.
    #[error("container is marked for removal and cannot be \"update\"")]
    UpdateDead,
    /// The container is about to be restarted by its policy.
    #[error("Container {0} is restarting, wait until the container is running")]
    Restarting(String),
    /// Commit of a container that could not be removed whole.
    #[error("You cannot commit container {0} which is Dead")]
    CommitDead(String),
    /// An exec that has been started before.
    #[error("exec command {0} is already running")]
    ExecRunning(String),
    /// An exec that has ended.
    #[error("exec command has already run")]
    ExecEnded,
}
