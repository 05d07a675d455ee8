//! Errors as clients read them.

wire! {
    /// `ErrorResponse`: the body of every answer from 400 on.
    pub struct ErrorResponse {
        #[serde(rename = "message")]
        pub message: String,
    }
}
