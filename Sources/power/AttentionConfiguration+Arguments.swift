public import ArgumentParser
public import PowerAttention

extension AttentionConfiguration.Form: ExpressibleByArgument {}
extension AttentionConfiguration.Normalization: ExpressibleByArgument {}
extension Device: ExpressibleByArgument {}
