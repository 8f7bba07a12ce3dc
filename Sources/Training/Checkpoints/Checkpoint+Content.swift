public import LanguageModel
public import PowerAttention
public import Tensors

extension Checkpoint {
    /// The configuration of the run that wrote the checkpoint.
    public func configuration() throws(PowerAttentionError) -> RunConfiguration {
        let configuration = try RunConfiguration(state.configuration, source: "\(path)/\(Self.stateName)")
        try configuration.validate()
        return configuration
    }

    /// The model with the weights of the checkpoint.
    ///
    /// - Throws: `damagedFile` where the weights are not those of the configuration; `unsupported` where there is no such device.
    public func loadModel(device: Device = .cpu) throws(PowerAttentionError) -> LanguageModel {
        let model = try configuration().makeModel(device: device)
        try loadWeights(into: model)
        return model
    }

    package func loadWeights(into model: LanguageModel) throws(PowerAttentionError) {
        let path = "\(path)/\(Self.modelName)"
        let file = try SafetensorsFile.read(path)
        for parameter in model.parameters {
            try parameter.load(file.tensor(parameter.name, like: parameter.value, path: path))
        }
        try file.checkCount(model.parameters.count, path: path)
    }

    package func loadOptimizer(for model: LanguageModel) throws(PowerAttentionError) -> Optimizer {
        let path = "\(path)/\(Self.optimizerName)"
        let file = try SafetensorsFile.read(path)
        let optimizer = try Optimizer(file, model.parameters, path: path)
        try file.checkCount(2 * model.parameters.count, path: path)
        return optimizer
    }
}

extension SafetensorsFile {
    fileprivate func checkCount(_ count: Int, path: String) throws(PowerAttentionError) {
        guard tensors.count == count else {
            throw .damaged(path, "\(tensors.count) tensors", "the \(count) of this model")
        }
    }
}
