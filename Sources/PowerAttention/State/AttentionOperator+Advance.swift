import BackendInterface
public import Tensors

extension AttentionOperator {
    /// The state before the first token of `sequences` sequences that advance together: a ``RecurrentState`` for power
    /// attention, a ``KeyValueCache`` for exponential attention.
    ///
    /// - Parameter switchOver: the number of tokens at which a recurrent state folds keys and values into the expanded state;
    ///   where both cost the same if it is `nil`.
    public func makeState(
        sequences: Int = 1, keyHeads: Int, keyWidth: Int, valueWidth: Int, switchOver: Int? = nil
    ) throws(PowerAttentionError) -> DecodingState {
        guard case .exponential(let window) = configuration.mechanism else {
            return .recurrent(
                try makeRecurrentState(
                    sequences: sequences, keyHeads: keyHeads, keyWidth: keyWidth, valueWidth: valueWidth,
                    switchOver: switchOver))
        }
        let shape = AttentionShape(
            batch: sequences, length: 1, heads: keyHeads, width: keyWidth, valueWidth: valueWidth)
        _ = try unresolvedProblem(shape)
        return .keyValues(KeyValueCache(shape, window: window))
    }

    /// The state of power attention before the first token; see ``makeState(sequences:keyHeads:keyWidth:valueWidth:switchOver:)``.
    public func makeRecurrentState(
        sequences: Int = 1, keyHeads: Int, keyWidth: Int, valueWidth: Int, switchOver: Int? = nil
    ) throws(PowerAttentionError) -> RecurrentState {
        let shape = AttentionShape(
            batch: sequences, length: 1, heads: keyHeads, width: keyWidth, valueWidth: valueWidth)
        let problem = try unresolvedProblem(shape)
        guard let expansion = problem.expansion else {
            throw PowerAttentionError(
                argument: "mechanism", given: "exponential", expected: "power: an exponential has no state of constant size")
        }
        if let switchOver {
            guard switchOver >= 1 else {
                throw PowerAttentionError(argument: "switch-over", given: "\(switchOver)", expected: "at least 1")
            }
            _ = try FormChoice(problem, configuration, device: device, initialState: false, finalState: true)
        }
        return RecurrentState(
            shape, expansion,
            switchOver: switchOver ?? RecurrentState.defaultSwitchOver(expansion, valueWidth: valueWidth))
    }

    /// Appends m tokens, `q [n, m, hq, d]`, `k [n, m, h, d]`, `v [n, m, h, e]`, `log_g [n, m, h]`, to the sequences of a state and
    /// returns their outputs `[n, m, hq, e]` in the inputs' type.
    ///
    /// - Throws: `PowerAttentionError` where the tensors or the state do not match; the state is then unchanged.
    /// - Complexity: O(tokens held·(d + e)) a token and head before the switch-over, O(D·e) after it.
    public func advance(
        _ state: inout DecodingState, q: Tensor, k: Tensor, v: Tensor, logG: Tensor? = nil
    ) throws(PowerAttentionError) -> Tensor {
        // A payload that stays in the enumeration while it changes would be copied whole.
        switch state {
        case .recurrent(var recurrent):
            state = .keyValues(.empty)
            defer { state = .recurrent(recurrent) }
            return try advance(&recurrent, q: q, k: k, v: v, logG: logG)
        case .keyValues(var cache):
            state = .keyValues(.empty)
            defer { state = .keyValues(cache) }
            return try advance(&cache, q: q, k: k, v: v, logG: logG)
        }
    }

    /// The same for exponential attention.
    public func advance(
        _ cache: inout KeyValueCache, q: Tensor, k: Tensor, v: Tensor, logG: Tensor? = nil
    ) throws(PowerAttentionError) -> Tensor {
        guard case .exponential(let window) = configuration.mechanism, window == cache.window else {
            throw PowerAttentionError(
                argument: "state", given: "a key-value cache with window \(cache.window.map(String.init) ?? "none")",
                expected: "the state of \(configuration.mechanism)")
        }
        let inputs = AttentionInputs(q: q, k: k, v: v, logG: logG)
        let problem = try problem(inputs, cuSeqlens: nil, finalState: false)
        try cache.check(problem)
        cache.prepare(accumulationType(q.dataType))
        if cache.count == 0 && q.shape[1] > 1 {
            let y = try forward(inputs).context.output
            cache.append(k: k, v: v, logG: logG)
            return y.converted(to: q.dataType)
        }
        cache.append(k: k, v: v, logG: logG)
        return cache.attend(q, configuration).converted(to: q.dataType)
    }

    /// The same for power attention.
    public func advance(
        _ state: inout RecurrentState, q: Tensor, k: Tensor, v: Tensor, logG: Tensor? = nil
    ) throws(PowerAttentionError) -> Tensor {
        let inputs = AttentionInputs(q: q, k: k, v: v, logG: logG)
        try state.check(configuration)
        if q.isOnDevice { return try advanceOnDevice(&state, inputs) }
        guard state.expanded?.S.isOnDevice != true else {
            throw PowerAttentionError(
                argument: "state", given: "a state in the memory of a device", expected: "one in host memory, as the tokens are"
            )
        }
        let problem = try problem(inputs, cuSeqlens: nil, finalState: state.isFolded)
        try state.buffer.check(problem)
        state.buffer.prepare(accumulationType(q.dataType))
        let added = q.shape[1]
        let y: Tensor
        if state.isFolded || added > 1 && state.buffer.count + added >= state.switchOver {
            try fold(&state)
            y = try advanceExpanded(&state, inputs)
        } else if state.buffer.count == 0 && added > 1 {
            y = try forward(inputs).context.output
            state.buffer.append(k: k, v: v, logG: logG)
        } else {
            state.buffer.append(k: k, v: v, logG: logG)
            y = state.buffer.attend(q, configuration)
            if state.buffer.count >= state.switchOver { try fold(&state) }
        }
        for index in state.tokens.indices { state.tokens[index] += added }
        return y.converted(to: q.dataType)
    }

    /// On a device tokens go into the expanded state from the first one on: it is there, and reading it takes microseconds.
    private func advanceOnDevice(
        _ state: inout RecurrentState, _ inputs: AttentionInputs
    ) throws(PowerAttentionError) -> Tensor {
        guard state.buffer.count == 0 else {
            throw PowerAttentionError(
                argument: "state", given: "keys and values in host memory", expected: "a folded state, or one without tokens")
        }
        var inputs = inputs
        inputs.initialState = state.expanded
        var problem = try problem(inputs, cuSeqlens: nil, finalState: true)
        try state.buffer.check(problem)
        problem.form = .recurrent
        let result = try device.backend(for: inputs.q.dataType).forward(problem, inputs, finalState: true)
        state.expanded = result.finalState
        for index in state.tokens.indices { state.tokens[index] += inputs.q.shape[1] }
        return result.context.output
    }

    private func accumulationType(_ dataType: DataType) -> DataType {
        device == .reference || dataType == .float64 ? .float64 : .float32
    }

    /// Moves keys and values into the expanded state.
    func fold(_ state: inout RecurrentState) throws(PowerAttentionError) {
        guard !state.isFolded, state.buffer.count > 0 else { return }
        let (k, v, logG) = state.buffer.contents
        let queries = Tensor([state.sequences, state.buffer.count, state.keyHeads, state.keyWidth], k.dataType)
        let result = try forward(AttentionInputs(q: queries, k: k, v: v, logG: logG), finalState: true)
        state.expanded = result.finalState
        state.buffer.removeAll()
    }

    private func advanceExpanded(
        _ state: inout RecurrentState, _ inputs: AttentionInputs
    ) throws(PowerAttentionError) -> Tensor {
        var inputs = inputs
        inputs.initialState = state.expanded
        let result = try forward(inputs, finalState: true)
        state.expanded = result.finalState
        return result.context.output
    }
}
