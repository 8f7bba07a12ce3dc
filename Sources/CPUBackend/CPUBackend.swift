/// The backend for the processor's own cores: float32, hot loops in the C target `CKernels`, all cores used.
package struct CPUBackend: Sendable {
    package init() {}
}
