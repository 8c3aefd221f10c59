import Mail
import POP3
import SASL
import Testing

/// Every command thrown at every state.
@Suite struct POP3StatesTests {
    static let commands = [
        "USER a", "PASS b", "APOP a c4c9334bac560ecc979e58001b3e22fb", "AUTH", "AUTH PLAIN", "AUTH PLAIN AGEAYg==",
        "AUTH SCRAM-SHA-256", "AUTH X-UNKNOWN", "STLS", "UTF8", "LANG", "LANG en", "LANG xx", "XOPEN a@example.test",
        "CAPA", "STAT", "LIST", "LIST 1", "UIDL", "UIDL 1", "RETR 1", "TOP 1 1", "DELE 1", "NOOP", "RSET", "LAST",
        "QUIT", "", " ", "GET / HTTP/1.1", "RETR", "TOP 1", "*", "=",
    ]

    /// How to get into a state, and which commands succeed there; all others are refused and change nothing.
    struct State: Sendable, CustomTestStringConvertible {
        let name: String
        let service: POP3Service
        let opening: String
        let succeeds: Set<String>
        var change: @Sendable (inout POP3ServerSettings) -> Void = { _ in }

        var testDescription: String { name }
    }

    static let anywhere: Set<String> = ["LANG", "LANG en", "CAPA", "QUIT"]

    static let states = [
        State(
            name: "frontend, AUTHORIZATION", service: .frontend, opening: "",
            succeeds: anywhere.union([
                "USER a", "APOP a c4c9334bac560ecc979e58001b3e22fb", "AUTH", "AUTH PLAIN", "AUTH PLAIN AGEAYg==",
                "AUTH SCRAM-SHA-256", "STLS", "UTF8",
            ])),
        State(
            name: "frontend, after USER", service: .frontend, opening: "USER a\r\n",
            succeeds: anywhere.union([
                "USER a", "PASS b", "APOP a c4c9334bac560ecc979e58001b3e22fb", "AUTH", "AUTH PLAIN",
                "AUTH PLAIN AGEAYg==", "AUTH SCRAM-SHA-256", "STLS", "UTF8",
            ])),
        State(
            name: "frontend, after UTF8", service: .frontend, opening: "UTF8\r\n",
            succeeds: anywhere.union([
                "USER a", "APOP a c4c9334bac560ecc979e58001b3e22fb", "AUTH", "AUTH PLAIN", "AUTH PLAIN AGEAYg==",
                "AUTH SCRAM-SHA-256", "UTF8",
            ])),
        State(
            name: "frontend, TLS on", service: .frontend, opening: "STLS\r\n",
            succeeds: anywhere.union([
                "USER a", "APOP a c4c9334bac560ecc979e58001b3e22fb", "AUTH", "AUTH PLAIN", "AUTH PLAIN AGEAYg==",
                "AUTH SCRAM-SHA-256", "UTF8",
            ])),
        State(
            name: "frontend, passwords under TLS only", service: .frontend, opening: "",
            succeeds: anywhere.union([
                "APOP a c4c9334bac560ecc979e58001b3e22fb", "AUTH", "AUTH SCRAM-SHA-256", "STLS", "UTF8",
            ]), change: { $0.requiresTLSForPlaintext = true }),
        State(
            name: "frontend, passwords under TLS only, TLS on and after USER", service: .frontend,
            opening: "STLS\r\nUSER a\r\n",
            succeeds: anywhere.union([
                "USER a", "PASS b", "APOP a c4c9334bac560ecc979e58001b3e22fb", "AUTH", "AUTH PLAIN",
                "AUTH PLAIN AGEAYg==", "AUTH SCRAM-SHA-256", "UTF8",
            ]), change: { $0.requiresTLSForPlaintext = true }),
        State(
            name: "frontend, within AUTH SCRAM-SHA-256, first message", service: .frontend,
            opening: "AUTH SCRAM-SHA-256\r\n", succeeds: []),
        State(
            name: "frontend, within AUTH SCRAM-SHA-256, last message", service: .frontend,
            opening: "AUTH SCRAM-SHA-256 biwsbj1hLHI9YWJj\r\n", succeeds: []),
        State(name: "frontend, within AUTH PLAIN", service: .frontend, opening: "AUTH PLAIN\r\n", succeeds: []),
        State(
            name: "node, AUTHORIZATION", service: .node, opening: "", succeeds: anywhere.union(["XOPEN a@example.test"])
        ),
        State(
            name: "node, TRANSACTION", service: .node, opening: "XOPEN a@example.test\r\n",
            succeeds: anywhere.union([
                "STAT", "LIST", "LIST 1", "UIDL", "UIDL 1", "RETR 1", "TOP 1 1", "DELE 1", "NOOP", "RSET", "LAST",
            ])),
        State(
            name: "node, TRANSACTION, message deleted", service: .node,
            opening: "XOPEN a@example.test\r\nDELE 1\r\n",
            succeeds: anywhere.union(["STAT", "LIST", "UIDL", "NOOP", "RSET", "LAST"])),
        State(
            name: "node, TRANSACTION, empty maildrop", service: .node,
            opening: "XOPEN empty@example.test\r\n",
            succeeds: anywhere.union(["STAT", "LIST", "UIDL", "NOOP", "RSET", "LAST"])),
    ]

    private func server(in state: State) throws -> POP3TestServer {
        var server = POP3TestServer(state.service) {
            $0.offersAPOP = true
            $0.offersStartTLS = true
            state.change(&$0)
        }
        // As a client sends them: nothing may follow STLS before TLS.
        let lines = state.opening.split(separator: "\r\n").map { String($0) + "\r\n" }
        let isSCRAM = state.name.contains("SCRAM")
        server.world.answer = isSCRAM ? .credentials(nil, try alice()) : .user(try alice())
        server.world.entries = state.name.contains("empty") ? [] : entries(1)
        for line in [""] + lines { _ = server.send(line) }
        return server
    }

    @Test("each command succeeds in its states only, and is answered once everywhere", arguments: states)
    func everyCommand(state: State) throws {
        for command in Self.commands {
            var server = try server(in: state)
            let reply = server.send(command + "\r\n")
            let succeeded = reply.hasPrefix("+")
            #expect(succeeded == state.succeeds.contains(command), "\(command): \(reply)")
            #expect(succeeded || reply.hasPrefix("-ERR "), "\(command): \(reply)")
            if !succeeded { #expect(reply.split(separator: "\r\n").count == 1, "\(command): \(reply)") }
        }
    }

    @Test("no pair of commands makes any state trap or fall silent", arguments: states)
    func everyPair(state: State) throws {
        for first in Self.commands {
            for second in Self.commands {
                var server = try server(in: state)
                _ = server.send(first + "\r\n")
                if server.isClosed || server.session.isHandedOver { continue }
                #expect(!server.send(second + "\r\n").isEmpty, "\(first), \(second)")
            }
        }
    }
}

extension POP3ServerSession {
    fileprivate var isHandedOver: Bool {
        var copy = self
        return copy.receive(UnsafeRawBufferPointer(start: nil, count: 0)).action == .close
    }
}
