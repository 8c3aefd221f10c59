import Foundation
import Testing

@testable import Serialmail

/// A socket on a port of its own.
private final class Listener: Sendable {
    let descriptor: Int32
    let port: String

    /// - Parameter accepts: whether it listens; otherwise the port is only taken.
    init(_ ip: String, accepts: Bool = true) throws {
        guard let address = SocketAddress.resolve(ip, port: "0", family: AF_UNSPEC).0.first else {
            throw CocoaError(.fileNoSuchFile)
        }
        let descriptor = socket(address.family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard address.withPointer({ bind(descriptor, $0, $1) }) == 0, !accepts || listen(descriptor, 8) == 0,
            let port = SocketAddress.of(descriptor, getsockname)?.text?.port
        else {
            close(descriptor)
            throw CocoaError(.fileNoSuchFile)
        }
        self.descriptor = descriptor
        self.port = port
    }

    deinit { close(descriptor) }

    /// Says a line to one client, and tells what that says.
    func serve(_ line: String) async -> String {
        let descriptor = descriptor
        return await onThread {
            let peer = FakePeer(accept(descriptor, nil, nil))
            peer.say(line)
            defer { peer.close() }
            return peer.line() ?? ""
        }
    }
}

@Suite("tcpclient", .timeLimit(.minutes(5)))
struct TCPClientTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private func connect(_ options: [String], _ host: String, _ port: String, _ script: String) async throws -> Ran {
        try await run(
            "tcpclient", options + [host, port, "bash", "-c", script], in: workspace,
            environment: ["TCPREMOTEINFO": "old", "TCPREMOTEHOST": "old", "TCP6REMOTEIP": "old", "KEPT": "yes"])
    }

    @Test("The program's descriptors 6 and 7 are the connection, and its environment tells both ends")
    func connection() async throws {
        let listener = try Listener("127.0.0.1")
        async let heard = listener.serve("hello\n")
        let ran = try await connect(
            ["-RHl", "me"], "127.0.0.1", listener.port,
            "read -r line <&6; echo \"$line\"; echo \"$TCPLOCALPORT\" >&7; env | grep -E '^(PROTO|TCP|KEPT)' | sort")
        let port = await heard.dropLast()
        #expect(ran.code == 0 && ran.diagnostics == "")
        #expect(
            ran.output.split(separator: "\n") == [
                "hello", "KEPT=yes", "PROTO=TCP", "TCPLOCALHOST=me", "TCPLOCALIP=127.0.0.1", "TCPLOCALPORT=\(port)",
                "TCPREMOTEIP=127.0.0.1", "TCPREMOTEPORT=\(listener.port)",
            ])
    }

    @Test("IPv6 works as well")
    func ipv6() async throws {
        guard let listener = try? Listener("::1") else { return }
        async let heard = listener.serve("hello\n")
        let ran = try await connect(
            ["-RHl0"], "::1", listener.port, "echo x >&7; echo $PROTO $TCPREMOTEIP $TCP6REMOTEIP")
        #expect(await heard == "x\n" && ran.output == "TCP6 ::1 ::1\n")
    }

    @Test("The program's exit code is tcpclient's; host 0 is this machine; -i and -p choose our end")
    func ends() async throws {
        let listener = try Listener("127.0.0.1")
        async let heard = listener.serve("")
        let free = try Listener("127.0.0.2", accepts: false).port
        let ran = try await connect(
            ["-RHl0", "-i", "127.0.0.2", "-p", free], "0", listener.port, "echo $TCPLOCALIP $TCPLOCALPORT >&7; exit 9")
        #expect(await heard == "127.0.0.2 \(free)\n" && ran.code == 9)
    }

    @Test("A port where nobody listens is 111, and -q is silent of it")
    func refused() async throws {
        let port = try Listener("127.0.0.1", accepts: false).port
        let ran = try await connect(["-RHl0"], "127.0.0.1", port, "true")
        #expect(ran.code == 111 && ran.output == "")
        #expect(ran.diagnostics.hasPrefix("tcpclient: unable to connect to 127.0.0.1 port \(port): "))
        #expect(try await connect(["-qRHl0"], "127.0.0.1", port, "true") == Ran(code: 111, output: "", diagnostics: ""))
    }

    @Test("-v says that it has connected")
    func verbose() async throws {
        let listener = try Listener("127.0.0.1")
        async let heard = listener.serve("")
        let ran = try await connect(["-vRHl0"], "127.0.0.1", listener.port, "true")
        #expect(ran.diagnostics == "tcpclient: connected to 127.0.0.1 port \(listener.port)\n")
        _ = await heard
    }

    @Test("A host or port that nobody knows, or a program that cannot be run, is 111")
    func unknown() async throws {
        #expect(try await connect([], "127.0.0.1", "no-such-port", "true").code == 111)
        let listener = try Listener("127.0.0.1")
        async let heard = listener.serve("")
        let ran = try await run("tcpclient", ["-RHl0", "127.0.0.1", listener.port, "/none/x"], in: workspace)
        #expect(ran.code == 111 && ran.diagnostics.hasPrefix("tcpclient: fatal: unable to run /none/x: "))
        _ = await heard
    }

    @Test(
        "Wrong arguments tell the usage: 100", arguments: [[], ["host"], ["host", "25"], ["-z", "host", "25", "x"]])
    func usage(arguments: [String]) async throws {
        let ran = try await run("tcpclient", arguments, in: workspace)
        #expect(ran.code == 100 && ran.diagnostics.hasPrefix("tcpclient: usage: tcpclient [ -46hHrRdDqQv ] "))
    }

    @Test("Options are ucspi-tcp's")
    func options() throws {
        let options = try #require(
            TCPClientOptions(["-qDHRl", "me", "-T3+4", "-t5", "-i::1", "-p", "7", "-4", "h", "25", "prog", "-x"]))
        #expect(options.verbosity == 0 && !options.delays && !options.asksRemoteHost && !options.asksRemoteInfo)
        #expect(options.timeouts == (.seconds(3), .seconds(4)) && options.infoTimeout == .seconds(5))
        #expect(options.localName == "me" && options.localAddress == "::1" && options.localPort == "7")
        #expect(options.command == ["prog", "-x"] && options.family == AF_INET)
        let plain = try #require(TCPClientOptions(["", "25", "prog"]))
        #expect(plain.timeouts == (.seconds(2), .seconds(58)) && plain.infoTimeout == .seconds(26))
        #expect(plain.host == "127.0.0.1" && plain.verbosity == 1 && plain.delays && plain.asksRemoteHost)
        #expect(TCPClientOptions(["-T9", "h", "1", "p"])?.timeouts.1 == .zero)
    }

    @Test("RFC 1413 §5: the user of a USERID reply, and of no other")
    func identReply() {
        #expect(TCPSurroundings.userID("6193, 23 : USERID : UNIX : stjohns\r".bytes) == "stjohns")
        #expect(TCPSurroundings.userID("6193, 23:USERID:UNIX:a:b".bytes) == "a:b")
        #expect(TCPSurroundings.userID("6193, 23 : ERROR : NO-USER".bytes) == nil)
        #expect(TCPSurroundings.userID("6193, 23 : USERID : UNIX : \r".bytes) == nil)
        #expect(TCPSurroundings.userID("".bytes) == nil)
    }
}

@Suite(
    "The programs as links", .timeLimit(.minutes(5)),
    .enabled(if: ProcessInfo.processInfo.environment["HAUBERK_BINARY"] != nil))
struct LinkedProgramsTests {
    private let workspace: Workspace
    private let client: [String]

    init() throws {
        workspace = try Workspace()
        let binary = ProcessInfo.processInfo.environment["HAUBERK_BINARY"] ?? ""
        for name in ["tcpclient", "serialsmtp"] {
            try FileManager.default.createSymbolicLink(atPath: "\(workspace.path)/\(name)", withDestinationPath: binary)
        }
        client = [workspace.path + "/tcpclient", "-RHl0", "127.0.0.1"]
    }

    /// Runs maildirserial while connections come, one after the other, to as many servers.
    private func send(to servers: [FakeSMTP]) async throws -> Ran {
        let listener = try Listener("127.0.0.1")
        async let served: Void = onThread {
            for server in servers {
                let peer = FakePeer(accept(listener.descriptor, nil, nil))
                server.serve(peer)
                peer.close()
            }
        }
        let ran = try await run(
            "maildirserial",
            ["M", "bob-"] + client + [listener.port, workspace.path + "/serialsmtp", "bob-", "me"], in: workspace)
        await served
        return ran
    }

    @Test("maildirserial, tcpclient and serialsmtp, each a link, send a Maildir over TCP")
    func together() async throws {
        for name in ["1", "2"] { try workspace.message(name) }
        let server = FakeSMTP()
        let ran = try await send(to: [server])
        #expect(ran.code == 0 && server.texts.lines.count == 2 && workspace.names("M/new").isEmpty)
        #expect(ran.diagnostics.contains("new/1 succeeded: 127.0.0.1 said: 250 queued\n"))
    }

    @Test("When a connection breaks, what had its K is not sent again, and the rest is sent by the next one")
    func lostConnection() async throws {
        for name in ["1", "2", "3"] { try workspace.message(name, from: "\(name)@b.example") }
        let (first, second) = (Tally(), FakeSMTP())
        var breaking = FakeSMTP()
        breaking.answer = { $0 == "." && first.next() == 2 ? "" : nil }
        let ran = try await send(to: [breaking, second])
        #expect(ran.code == 0 && workspace.names("M/new").isEmpty)
        #expect(
            second.heard.lines.filter { $0.hasPrefix("MAIL") } == [
                "MAIL FROM:<2@b.example>", "MAIL FROM:<3@b.example>",
            ])
        #expect(ran.diagnostics.contains("serialsmtp: fatal: network read error: end of file\n"))
    }
}
