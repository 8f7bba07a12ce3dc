/// What a graph needs beside memory of the card, collected while it is captured.
struct CaptureRecord: Sendable {
    /// The bytes of copies to the card, which every replay reads again.
    var copies: [HostBytes] = []
}
