import Foundation
import Testing

@testable import Maildirs

/// The marker file, and the trial of the file system at start.
@Suite(.timeLimit(.minutes(5))) struct StoreMarkerTests {
    private func error(_ body: () throws(MaildirError) -> Void) -> MaildirError? {
        do throws(MaildirError) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    @Test("A root without a marker file is refused, and says what to do")
    func noMarker() throws {
        let folder = try TestFolder()
        try FileManager.default.removeItem(atPath: "\(folder.root)/\(StoreMarker.fileName)")
        let found = error { () throws(MaildirError) in
            _ = try MaildirStore(root: folder.root, cluster: "test", node: "a", partitions: 8)
        }
        #expect(found == .noMarker(root: folder.root))
        #expect(found?.description.contains("--init") == true)
        let missing = error { () throws(MaildirError) in
            _ = try MaildirStore(root: "\(folder.root)/nowhere", cluster: "test", node: "a", partitions: 8)
        }
        #expect(missing == .noMarker(root: "\(folder.root)/nowhere"))
    }

    @Test(
        "Another cluster's, node's or ring's root is refused",
        arguments: [("x", "a", 8), ("test", "b", 8), ("test", "a", 16)])
    func wrongMarker(cluster: String, node: String, partitions: Int) throws {
        let folder = try TestFolder()
        for isInit in [true, false] {
            let found = error { () throws(MaildirError) in
                if isInit {
                    try MaildirStore.initialize(root: folder.root, cluster: cluster, node: node, partitions: partitions)
                } else {
                    _ = try MaildirStore(root: folder.root, cluster: cluster, node: node, partitions: partitions)
                }
            }
            guard case .wrongMarker(_, let marker, _) = found else {
                Issue.record("\(String(describing: found))")
                continue
            }
            #expect(marker == "cluster \"test\", node \"a\", 8 partitions")
        }
    }

    @Test("Initialising twice is fine, and leaves nothing but the marker")
    func twice() throws {
        let folder = try TestFolder()
        try MaildirStore.initialize(root: folder.root, cluster: "test", node: "a", partitions: 8)
        _ = try folder.store()
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.root) == [StoreMarker.fileName])
    }

    @Test("A name that would break the marker's lines is refused")
    func badName() {
        let found = error { () throws(MaildirError) in
            try MaildirStore.initialize(root: "/nonexistent/x", cluster: "a\nnode: b", node: "a", partitions: 8)
        }
        #expect(found == .badName("a\nnode: b"))
    }

    @Test("A marker file that is not ours is told so, and survives")
    func foreign() throws {
        let folder = try TestFolder()
        let path = "\(folder.root)/\(StoreMarker.fileName)"
        try Data("something".utf8).write(to: URL(fileURLWithPath: path))
        let found = error { () throws(MaildirError) in
            try MaildirStore.initialize(root: folder.root, cluster: "test", node: "a", partitions: 8)
        }
        #expect(found?.description.contains("not ours") == true)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "something")
    }

    @Test("What the file system lacks is named, all of it at once")
    func lacks() throws {
        let folder = try TestFolder()
        let faults = FaultPlan { step, _ in
            switch step {
            case .link: .fail(EPERM)
            case .syncDirectory: .fail(EINVAL)
            default: nil
            }
        }
        let found = error { () throws(MaildirError) in
            var options = StoreOptions()
            options.faults = faults
            _ = try MaildirStore(root: folder.root, cluster: "test", node: "a", partitions: 8, options: options)
        }
        guard case .fileSystemLacks(_, let missing) = found else {
            Issue.record("\(String(describing: found))")
            return
        }
        #expect(missing.count == 2)
        #expect(found?.description.contains("hard links") == true)
        #expect(found?.description.contains("fsync of directories") == true)
    }

    @Test("A failing or full disk is not called a lacking file system: full ones start, failing ones say why")
    func failing() throws {
        let folder = try TestFolder()
        _ = try folder.store(faults: FaultPlan { step, _ in step == .syncFile ? .fail(ENOSPC) : nil })
        let found = error { () throws(MaildirError) in
            var options = StoreOptions()
            options.faults = FaultPlan { step, _ in step == .syncFile ? .fail(EIO) : nil }
            _ = try MaildirStore(root: folder.root, cluster: "test", node: "a", partitions: 8, options: options)
        }
        #expect(found?.errorNumber == EIO)
    }
}
