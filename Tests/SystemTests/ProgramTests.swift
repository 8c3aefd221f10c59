import Foundation
import Testing

@Suite("Programs that the tests run", .timeLimit(.minutes(5)))
struct ProgramTests {
    /// Whether a process is there and has not ended.
    private func isAlive(_ process: String) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) else { return false }
        return !text.contains(") Z ")
    }

    @Test("A program that takes too long is killed, and so is what it started")
    func timeOut() async throws {
        let outcome = try await Program.run("/bin/sh", ["-c", "sleep 600 & echo $!; wait"], secondsMax: 1)
        #expect(outcome.status == SIGKILL)
        let child = outcome.outputText.trimmingCharacters(in: .whitespacesAndNewlines)
        try #require(!child.isEmpty)
        for _ in 0..<600 where isAlive(child) { try await Task.sleep(for: .milliseconds(50)) }
        #expect(!isAlive(child))
    }

    @Test("A run leaves none of its files open, whether the program could be started or not")
    func files() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let input = [UInt8]("files of \(UUID())".utf8)
        _ = try await Program.run("/bin/cat", [], input: input)
        await #expect(throws: (any Error).self) { try await Program.run(folder.path + "/none", [], input: input) }
        let own = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { number in
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + number)
        }
        #expect(own.count { $0.hasSuffix("/errors (deleted)") || $0.hasSuffix("/input (deleted)") } == 0, "\(own)")
    }
}
