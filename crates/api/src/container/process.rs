//! Answers of `wait`, `top` and `update`.

wire! {
    /// `ContainerWaitExitError`.
    pub struct WaitError {
        pub message: String,
    }

    /// `ContainerWaitResponse`.
    pub struct WaitResponse {
        #[serde(skip_serializing_if = "Option::is_none")]
        pub error: Option<WaitError>,
        pub status_code: i64,
    }

    /// `ContainerUpdateResponse`.
    pub struct UpdateResponse {
        pub warnings: Option<Vec<String>>,
    }

    /// `ContainerTopResponse`.
    pub struct TopResponse {
        pub processes: Vec<Vec<String>>,
        pub titles: Vec<String>,
    }
}
