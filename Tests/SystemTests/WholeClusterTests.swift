import Testing

extension SystemTests {
    /// `scripts/check-cluster.py` starts its own cluster, plays the story, and says what it found wrong.
    @Suite("Mail in at any frontend, out at any frontend")
    struct WholeClusterTests {
        private func check(_ arguments: [String]) async throws -> String {
            let outcome = try await Tree.python(
                [Tree.root + "/scripts/check-cluster.py", "--hauberk", Tree.hauberk] + arguments, secondsMax: 540)
            #expect(outcome.status == 0, "\(outcome.outputText)\(outcome.errors)")
            return outcome.outputText
        }

        @Test(
            "10,000 messages on 64 connections, kill -9 of a storage node half way: what got 250 is there, once, unchanged"
        )
        func killedStorageNode() async throws {
            let said = try await check(["--generate", "10000", "--connections", "64", "--kill", "storage"])
            #expect(said.contains("10000 got 250"))
        }

        @Test("2,000 messages on 16 connections, kill -9 of one process of each role half way: none is lost")
        func killedRoles() async throws {
            let said = try await check(["--generate", "2000", "--connections", "16", "--repeats-allowed"])
            #expect(said.contains("2000 got 250"))
        }
    }
}
