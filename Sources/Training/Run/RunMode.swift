/// What to do about what is already in the run's folder.
public enum RunMode: Sendable, Hashable {
    /// Nothing may be there.
    case new
    /// An earlier run is removed first.
    case overwrite
    /// The run that is there goes on from its newest complete checkpoint; where none has begun, one begins.
    case resume
}
