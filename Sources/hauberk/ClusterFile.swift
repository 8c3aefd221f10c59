import Foundation
import Membership

/// The file that says who is in the cluster, for commands that change it.
struct ClusterFile {
    let configuration: ClusterConfiguration
    private let path: String
    private let text: String

    init(_ option: ConfigurationOption) throws {
        configuration = try option.load()
        path = URL(fileURLWithPath: option.file).resolvingSymlinksInPath().path
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw CommandFailure("\(path) cannot be read as UTF-8")
        }
        self.text = text
    }

    /// Changes the text and writes it, if it then says exactly what was meant and is a valid configuration.
    ///
    /// - Parameter byHand: what to write into the file where this program cannot.
    func change(
        to expected: ClusterConfiguration, byHand: String, _ body: (inout MembershipText) throws -> Void
    ) throws {
        var changed = MembershipText(text)
        let new: ClusterConfiguration
        do {
            try body(&changed)
            new = try ClusterConfiguration.parse(
                changed.text, file: path, environment: ClusterConfiguration.processEnvironment())
        } catch let error as ConfigurationError {
            throw CommandFailure("\(error)")
        } catch {
            throw CommandFailure("\(path) is not written in a way that can be changed here: \(error)\n\(byHand)")
        }
        var expected = expected
        expected.resolve()
        let difference = ReloadDifference(from: expected, to: new)
        guard difference.isEmpty else {
            let lines = (difference.live + difference.restart).joined(separator: "\n")
            throw CommandFailure(
                "\(path) is not written in a way that can be changed here; this would be wrong:\n\(lines)\n\(byHand)")
        }
        do {
            try write(changed.text)
        } catch {
            throw CommandFailure("\(path) cannot be written: \(error.localizedDescription)")
        }
    }

    /// Whole or not at all, with the rights that the file had.
    private func write(_ text: String) throws {
        let rights = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        let fresh = "\(path).\(ProcessInfo.processInfo.processIdentifier)"
        try Data(text.utf8).write(to: URL(fileURLWithPath: fresh))
        if let rights { try FileManager.default.setAttributes([.posixPermissions: rights], ofItemAtPath: fresh) }
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: fresh))
        try handle.synchronize()
        try handle.close()
        guard rename(fresh, path) == 0 else {
            let reason = String(cString: strerror(errno))
            unlink(fresh)
            throw CommandFailure(reason)
        }
    }
}
