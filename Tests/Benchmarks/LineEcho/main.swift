import Glibc
import NIOCore
import NIOPosix

// The machine's own limit for a line that goes there and back: a server of one event loop that does nothing but echo,
// in a process of its own, so that its CPU can be read apart from its client's.
//
// usage: line-echo serve                           prints its port, echoes lines until its standard input ends
//        line-echo drive PORT CONNECTIONS LINES    sends so many lines in all, each after the echo of the one before;
//                                                  prints lines per second

let usage = "usage: line-echo serve | line-echo drive PORT CONNECTIONS LINES"

func fail(_ text: String) -> Never {
    let line = Array("line-echo: \(text)\n".utf8)
    write(STDERR_FILENO, line, line.count)
    exit(1)
}

/// Echoes on a free port until standard input ends.
func serve() throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let channel = try ServerBootstrap(group: group)
        .serverChannelOption(.backlog, value: 1024)
        .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        .childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(LineEcho()) }
        }
        .bind(host: "127.0.0.1", port: 0).wait()
    guard let port = channel.localAddress?.port else { fail("no port") }
    print(port)
    fflush(nil)
    while getchar() != EOF {}
    try group.syncShutdownGracefully()
}

/// Sends `lines` lines over `connections` connections, and waits for the last echo. Returns the seconds that it took.
func drive(port: Int, connections: Int, lines: Int) throws -> Double {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let bootstrap = ClientBootstrap(group: group).channelOption(.tcpOption(.tcp_nodelay), value: 1)
    let share = lines / connections
    let channels = try (0..<connections).map { _ in
        try bootstrap.connect(host: "127.0.0.1", port: port).wait()
    }
    let begin = NIODeadline.now()
    let ends = channels.map { channel in
        channel.eventLoop.flatSubmit {
            let end = channel.eventLoop.makePromise(of: Void.self)
            do {
                try channel.pipeline.syncOperations.addHandler(LineDriver(lines: share, end: end))
            } catch {
                end.fail(error)
            }
            return end.futureResult
        }
    }
    for end in ends { try end.wait() }
    let took = NIODeadline.now() - begin
    try group.syncShutdownGracefully()
    return Double(took.nanoseconds) / 1e9
}

func run(_ arguments: [String]) throws {
    switch arguments.first {
    case "serve" where arguments.count == 1:
        try serve()
    case "drive" where arguments.count == 4:
        guard let port = Int(arguments[1]), let connections = Int(arguments[2]), let lines = Int(arguments[3]),
            connections > 0, lines >= connections
        else { fail(usage) }
        let seconds = try drive(port: port, connections: connections, lines: lines)
        print((Double(lines / connections * connections) / seconds).rounded())
    default:
        fail(usage)
    }
}

do {
    try run(Array(CommandLine.arguments.dropFirst()))
} catch {
    fail("\(error)")
}
