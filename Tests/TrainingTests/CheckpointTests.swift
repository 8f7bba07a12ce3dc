import Foundation
import PowerAttention
import Tensors
import TestSupport
import Testing

import Training

@Suite struct CheckpointTests {
    private func state(_ step: Int) -> CheckpointState {
        CheckpointState(
            step: step, tokens: step * 10, seconds: 1.25, flops: 3e9,
            configuration: .table(["tokenizer": .string("\"checksum\":\"")]))
    }

    private func files(_ step: Int) -> [String: SafetensorsFile] {
        let tensor = Tensor([3], [Float(step), 2, 3])
        return ["model.safetensors": SafetensorsFile(tensors: ["w": tensor]), "optimizer.safetensors": SafetensorsFile()]
    }

    private func names(_ store: CheckpointStore) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: store.path).sorted()
    }

    @Test func keepsTheNewest() throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore("\(folder.path)/checkpoints")
        #expect(try store.newest() == nil)
        for step in [5, 10, 15, 123_456_789] { try store.write(state(step), files(step), keeping: 2) }
        #expect(try names(store) == ["step-00000015", "step-123456789"])
        let newest = try #require(try store.newest())
        #expect(newest.step == 123_456_789 && newest.state.seconds == 1.25)
        #expect(newest.state.configuration == state(1).configuration)
    }

    /// The newest one says where the run was; those of older versions, and damaged ones, do not.
    @Test func saysWhereTheRunWas() throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore("\(folder.path)/checkpoints")
        #expect(store.device() == nil)
        for (step, device) in [(5, Device.cpu), (10, .cuda), (15, nil)] {
            var state = state(step)
            state.device = device
            try store.write(state, files(step), keeping: 3)
            #expect(store.device() == device)
        }
        try Data("{}".utf8).write(to: URL(fileURLWithPath: "\(store.path(of: 15))/state.json"))
        #expect(store.device() == nil)
    }

    @Test func ignoresWhatIsNotACheckpoint() throws {
        let folder = try TemporaryFolder()
        for name in ["step-5", "step-0000001x", "other", ".step-00000009.tmp", "step--0000001"] {
            try FileManager.default.createDirectory(atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true)
        }
        #expect(try CheckpointStore(folder.path).steps() == [])
    }

    @Test func resumingRemovesLeftoversAndPutsDamagedOnesAside() throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore(folder.path)
        for step in [1, 2, 3] { try store.write(state(step), files(step), keeping: 5) }
        try FileManager.default.createDirectory(atPath: "\(folder.path)/.step-00000004.tmp", withIntermediateDirectories: true)
        try Data("x".utf8).write(to: URL(fileURLWithPath: "\(store.path(of: 3))/optimizer.safetensors"))
        #expect(try store.prepareToResume(silent)?.step == 2)
        #expect(try names(store) == ["step-00000001", "step-00000002", "step-00000003.damaged"])
        try store.write(state(3), files(3), keeping: 5)
        #expect(try store.newest()?.step == 3)
    }

    /// Whatever happens to a byte or the length of a file of a checkpoint, it is not taken for a complete one.
    @Test(arguments: ["state.json", "model.safetensors", "optimizer.safetensors"])
    func damageIsAnErrorEveryTime(name: String) throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore(folder.path)
        try store.write(state(7), files(7), keeping: 1)
        let path = "\(store.path(of: 7))/\(name)"
        let original = try Data(contentsOf: URL(fileURLWithPath: path))
        var generator = RandomGenerator(seed: 11)
        for round in 0..<200 {
            var damaged = original
            switch round % 4 {
            case 0: damaged = damaged.prefix(Int.random(in: 0..<damaged.count, using: &generator))
            case 1: damaged.append(UInt8.random(in: 0...255, using: &generator))
            default:
                damaged[Int.random(in: 0..<damaged.count, using: &generator)] ^= UInt8.random(in: 1...255, using: &generator)
            }
            try damaged.write(to: URL(fileURLWithPath: path))
            let error = #expect(throws: PowerAttentionError.self) { try store.newest() }
            #expect(error?.code == .damagedFile, "\(error.map(String.init(describing:)) ?? "")")
        }
        try FileManager.default.removeItem(atPath: path)
        #expect(throws: PowerAttentionError.self) { try store.newest() }
        try original.write(to: URL(fileURLWithPath: path))
        #expect(try store.newest()?.step == 7)
    }

    @Test func aFolderThatCannotBeWrittenLeavesTheLastOne() throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore(folder.path)
        try store.write(state(1), files(1), keeping: 1)
        var illegal = files(2)
        illegal["no/such/folder.safetensors"] = SafetensorsFile()
        let error = #expect(throws: PowerAttentionError.self) { try store.write(state(2), illegal, keeping: 1) }
        #expect(error?.code == .inputOutput)
        #expect(try names(store) == ["step-00000001"])
        #expect(try store.newest()?.step == 1)
    }

    @Test func checksumIsThatOfZlib() {
        let text = Array("123456789".utf8)
        let folder = try? TemporaryFolder()
        let path = "\(folder?.path ?? "")/check"
        try? Data(text).write(to: URL(fileURLWithPath: path))
        #expect((try? Checksum.file(path))?.crc32 == "cbf43926")
        #expect((try? Checksum.file(path))?.bytes == 9)
    }
}
