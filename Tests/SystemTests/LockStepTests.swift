import Foundation
import Testing

extension SystemTests {
    @Suite("Clients that retrieve one message after another", .cluster)
    struct LockStepTests {
        let cluster: TestCluster

        init() throws { cluster = try SystemTests.cluster() }

        private func accountWithMail(_ count: Int) async throws -> (TestCluster.Account, [String]) {
            let account = try await cluster.makeAccount()
            let texts = (1...count).map { number in
                // One of them is longer than what is read ahead.
                let lines = number == count / 2 ? 4000 : number
                return (1...lines).map { ".\($0 * number) line\r\n" }.joined()
            }
            for text in texts {
                #expect(try await cluster.deliver("Subject: one\r\n\r\n" + text, to: account).hasPrefix("250"))
            }
            return (account, texts)
        }

        private func answeredAhead() async throws -> Int {
            try await cluster.counter("hauberk_pop3_answered_ahead_total", port: 9103)
        }

        @Test("A client that retrieves and deletes in turn gets every message as it is, and all are gone after QUIT")
        func retrieveAndDelete() async throws {
            let (account, texts) = try await accountWithMail(24)
            let before = try await answeredAhead()
            let session = try await cluster.login(account)
            // Some have no mark when the session ends.
            for (number, text) in zip(1..., texts) {
                let message = try await session.retrieve(number)
                #expect(String(decoding: message, as: UTF8.self).hasSuffix("\r\n\r\n" + text), "message \(number)")
                guard number % 3 > 0 else { continue }
                #expect(try await session.ask("DELE \(number)") == "+OK message \(number) deleted")
            }
            #expect(try await session.ask("LAST") == "+OK 24")
            #expect(try await session.ask("RETR 1") == "-ERR message 1 is deleted")
            #expect(try await session.ask("QUIT").hasPrefix("+OK"))
            #expect(try await answeredAhead() > before + 20)
            let left = try await cluster.login(account)
            #expect(try await left.ask("STAT").hasPrefix("+OK 8 "))
            for number in 1...8 {
                let message = String(decoding: try await left.retrieve(number), as: UTF8.self)
                #expect(message.hasSuffix("\r\n\r\n" + texts[3 * number - 1]), "message \(number)")
            }
        }

        @Test("A session that ends without QUIT deletes nothing, though its DELE was answered")
        func noQuit() async throws {
            let (account, _) = try await accountWithMail(9)
            do {
                let session = try await cluster.login(account)
                for number in 1...9 {
                    _ = try await session.retrieve(number)
                    #expect(try await session.ask("DELE \(number)").hasPrefix("+OK"))
                }
            }
            let next = try await cluster.login(account)
            #expect(try await next.ask("STAT").hasPrefix("+OK 9 "))
        }

        @Test("What another session has removed is told, also to a client that retrieves in turn")
        func removedElsewhere() async throws {
            let (account, _) = try await accountWithMail(9)
            let session = try await cluster.login(account)
            for number in 1...3 { _ = try await session.retrieve(number) }
            let other = try await cluster.login(account, port: 1111)
            for number in 5...9 { #expect(try await other.ask("DELE \(number)").hasPrefix("+OK")) }
            #expect(try await other.ask("QUIT").hasPrefix("+OK"))
            // What was on its way before is given for a second.
            try await Task.sleep(for: .milliseconds(1_100))
            #expect(try await session.retrieve(4).isEmpty == false)
            #expect(try await session.ask("RETR 5") == "-ERR message was removed by another session")
        }
    }
}
