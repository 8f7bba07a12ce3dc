import BackendInterface
import Foundation
import PowerAttention
import Tensors
import TestSupport
import Testing

/// States as safetensors files.
@Suite struct StateFileTests {
    private let folder: TemporaryFolder
    private let attention: AttentionOperator

    init() throws {
        folder = try TemporaryFolder()
        attention = try AttentionOperator(AttentionConfiguration(.power(degree: 2), tile: 2))
    }

    private func state(after inputs: RandomInputs, switchOver: Int) throws -> RecurrentState {
        var state = try attention.makeRecurrentState(
            sequences: 2, keyHeads: 1, keyWidth: 8, valueWidth: 6, switchOver: switchOver)
        _ = try attention.advance(&state, q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG)
        return state
    }

    /// A state that was saved and read goes on as if it had not been, before and after the switch-over.
    @Test(arguments: [10, 1000]) func roundTrip(switchOver: Int) throws {
        let inputs = RandomInputs(batch: 2, length: 60)
        let rest = inputs[40..<60]
        var original = try state(after: inputs[0..<40], switchOver: switchOver)
        #expect(original.isFolded == (switchOver == 10))
        try original.write(to: folder.file("state"))
        var copy = try RecurrentState.read(folder.file("state"))
        #expect(copy.tokens == [40, 40] && copy.switchOver == switchOver && copy.isFolded == original.isFolded)
        let y = try attention.advance(&original, q: rest.q, k: rest.k, v: rest.v, logG: rest.logG)
        let again = try attention.advance(&copy, q: rest.q, k: rest.k, v: rest.v, logG: rest.logG)
        #expect(y.array(of: Float.self) == again.array(of: Float.self))
    }

    @Test func packedSequences() throws {
        let inputs = RandomInputs(length: 30)
        let (_, state) = try attention.forwardWithState(
            q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG, cuSeqlens: [0, 4, 4, 30])
        try state.write(to: folder.file("state"))
        #expect(try RecurrentState.read(folder.file("state")).tokens == [4, 0, 26])
    }

    /// A state of other settings is refused by the name of the setting.
    @Test func otherSettings() throws {
        try state(after: RandomInputs(batch: 2, length: 20), switchOver: 5).write(to: folder.file("state"))
        let state = try RecurrentState.read(folder.file("state"))
        let inputs = RandomInputs(batch: 2, length: 3)
        for (word, configuration) in [
            ("degree 2", AttentionConfiguration(.power(degree: 4), tile: 2)),
            ("tile 2", AttentionConfiguration(.power(degree: 2))),
        ] {
            let error = #expect(throws: PowerAttentionError.self) {
                try AttentionOperator(configuration).forward(q: inputs.q, k: inputs.k, v: inputs.v, initialState: state)
            }
            #expect(error?.description.contains(word) == true)
        }
        for (word, inputs) in [
            ("key width", RandomInputs(batch: 2, length: 3, width: 9)), ("sequences", RandomInputs(length: 3)),
            ("value width", RandomInputs(batch: 2, length: 3, valueWidth: 7)),
            ("key heads", RandomInputs(batch: 2, length: 3, keyHeads: 2)),
        ] {
            let error = #expect(throws: PowerAttentionError.self) {
                try attention.forward(q: inputs.q, k: inputs.k, v: inputs.v, initialState: state)
            }
            #expect(error?.description.contains(word) == true)
        }
    }

    @Test func settingsOutOfRange() throws {
        try state(after: RandomInputs(batch: 2, length: 20), switchOver: 5).write(to: folder.file("state"))
        let original = try SafetensorsFile.read(folder.file("state"))
        let changes = [
            ("format", "something"), ("version", "2"), ("degree", "5"), ("degree", "3"), ("tile", "9"), ("tile", "1"),
            ("sequences", "3"), ("key_heads", "9223372036854775807"), ("key_heads", "2"), ("key_width", "0"),
            ("value_width", "7"), ("tokens", "20"), ("tokens", "20,-1"), ("tokens", "a,b"),
            ("tokens", "9223372036854775807,20"), ("switch_over", "0"),
        ]
        for (key, value) in changes {
            var file = original
            file.metadata[key] = value
            try file.write(to: folder.file("changed"))
            #expect(throws: PowerAttentionError.self, "\(key) = \(value)") { try RecurrentState.read(folder.file("changed")) }
        }
        for key in original.metadata.keys {
            var file = original
            file.metadata[key] = nil
            try file.write(to: folder.file("changed"))
            #expect(throws: PowerAttentionError.self) { try RecurrentState.read(folder.file("changed")) }
        }
    }

    /// Damaged files are refused, or read as a state that can be used; nothing crashes.
    @Test(arguments: [5, 1000]) func survivesDamage(switchOver: Int) throws {
        let inputs = RandomInputs(batch: 2, length: 12)
        try state(after: inputs, switchOver: switchOver).write(to: folder.file("state"))
        let original = Array(try folder.read("state"))
        var mutator = Mutator(seed: 5)
        var refused = 0
        for _ in 0..<1500 {
            let path = try folder.write(mutator.mutated(original), to: "damaged")
            do {
                var state = try RecurrentState.read(path)
                _ = try? attention.forward(
                    q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG, initialState: state)
                _ = try? attention.advance(&state, q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG)
            } catch { refused += 1 }
        }
        #expect(refused > 750)
    }
}
