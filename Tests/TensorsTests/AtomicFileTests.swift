import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct AtomicFileTests {
    let folder = try! TemporaryFolder()

    @Test func writesAndReplaces() throws {
        let path = folder.file("a")
        try AtomicFile.write("first, and longer", to: path)
        try AtomicFile.write(Data([1, 2, 3]), to: path)
        #expect(try Array(folder.read("a")) == [1, 2, 3])
        try AtomicFile.write("", to: path)
        #expect(try folder.read("a").isEmpty)
        #expect(folder.contents == ["a"])
    }

    @Test func appendsAndOverwrites() throws {
        var file = try AtomicFile(replacing: folder.file("a"))
        try file.append([1, 2, 3] as [UInt8])
        try file.append([UInt16(0x0504)])
        try [UInt8(9)].span.bytes.withUnsafeBytes { bytes throws(PowerAttentionError) in try file.overwrite(bytes, at: 1) }
        #expect(file.byteCount == 5)
        try file.commit()
        #expect(try Array(folder.read("a")) == [1, 9, 3, 4, 5])
    }

    /// Until it is committed, a file is not there; one that never is leaves the old file alone and no trace.
    @Test func abandoned() throws {
        try AtomicFile.write("old", to: folder.file("a"))
        func abandon() throws {
            var file = try AtomicFile(replacing: folder.file("a"))
            try file.append(Array("new".utf8))
            #expect(folder.contents.count == 2)
            throw CancellationError()
        }
        #expect(throws: CancellationError.self) { try abandon() }
        #expect(try String(decoding: folder.read("a"), as: UTF8.self) == "old")
        #expect(folder.contents == ["a"])
    }

    @Test func keepsPermissionsAndFollowsLinks() throws {
        let manager = FileManager.default
        try AtomicFile.write("old", to: folder.file("a"))
        try manager.setAttributes([.posixPermissions: 0o600], ofItemAtPath: folder.file("a"))
        try manager.createSymbolicLink(atPath: folder.file("link"), withDestinationPath: "a")
        try AtomicFile.write("new", to: folder.file("link"))
        #expect(try String(decoding: folder.read("a"), as: UTF8.self) == "new")
        #expect(try manager.destinationOfSymbolicLink(atPath: folder.file("link")) == "a")
        #expect(try manager.attributesOfItem(atPath: folder.file("a"))[.posixPermissions] as? Int == 0o600)
    }

    @Test(arguments: ["missing/a", "a/b", "", "zero\u{0}byte", "."]) func refuses(name: String) throws {
        try AtomicFile.write("a file", to: folder.file("a"))
        let path = name.isEmpty ? "" : folder.file(name)
        #expect(throws: PowerAttentionError.self) { try AtomicFile.write("text", to: path) }
        #expect(folder.contents == ["a"])
    }

    @Test func refusesDevices() {
        let error = #expect(throws: PowerAttentionError.self) { try AtomicFile.write("text", to: "/dev/null") }
        #expect(error?.code == .inputOutput)
    }

    @Test func mapsFiles() throws {
        let path = try folder.write([1, 2, 3], to: "a")
        let file = try MappedFile(path)
        #expect(Array(file.bytes) == [1, 2, 3])
        #expect(try MappedFile(folder.write([], to: "b")).bytes.isEmpty)
        #expect(throws: PowerAttentionError.self) { try MappedFile(folder.path) }
        withExtendedLifetime(file) {}
    }
}
