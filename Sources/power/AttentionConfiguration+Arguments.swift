public import ArgumentParser
package import Benchmarks
public import PowerAttention

extension AttentionConfiguration.Form: ExpressibleByArgument {}
extension AttentionConfiguration.Normalization: ExpressibleByArgument {}
extension Device: ExpressibleByArgument {}
extension DataType: ExpressibleByArgument {}
extension OperatorPass: ExpressibleByArgument {}
