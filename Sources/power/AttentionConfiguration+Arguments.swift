public import ArgumentParser
package import Benchmarks
public import PowerAttention

extension AttentionConfiguration.Form: ExpressibleByArgument {}
extension AttentionConfiguration.Normalization: ExpressibleByArgument {}
extension Device: ExpressibleByArgument {}
extension DataType: ExpressibleByArgument {}
extension OperatorPass: ExpressibleByArgument {}

extension DataType {
    /// - Throws: where it is given with `--dtype` and the operator takes no inputs of it.
    func checkInput() throws {
        guard [.float32, .bfloat16, .float16].contains(self) else {
            throw ValidationError("--dtype: \(self) given, expected float32, bfloat16 or float16")
        }
    }
}
