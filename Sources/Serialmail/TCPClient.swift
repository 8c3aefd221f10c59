import Glibc

/// `tcpclient`: connects to a host, then runs a program whose descriptors 6 and 7 are the connection (UCSI).
struct TCPClient: Program {
    static let name = "tcpclient"
    static let abstract = "Connects to a host and runs a program with the connection on descriptors 6 and 7."
    static let usage = """
        [ -46hHrRdDqQv ] [ -i localip ] [ -p localport ] [ -T timeoutconn ] [ -l localname ] [ -t timeoutinfo ] \
        host port program
        """

    let context: ProgramContext

    init(_ context: ProgramContext) { self.context = context }

    func run() throws(ProgramExit) -> Int32 {
        guard let options = TCPClientOptions(context.arguments) else { throw Self.usageExit }
        let log = Diagnostics(context.diagnostics)
        do throws(ProgramExit) {
            let dialer = TCPDialer(options: options)
            guard let socket = try dialer.connect(say: { if options.verbosity > 0 { log.say($0) } }) else { return 111 }
            defer { close(socket) }
            if !options.delays {
                var on: Int32 = 1
                setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
            }
            var child = context
            try TCPSurroundings(options: options).describe(socket, in: &child.environment)
            if options.verbosity > 1, let ip = child.environment["TCPREMOTEIP"] {
                log.say("tcpclient: connected to \(ip) port \(child.environment["TCPREMOTEPORT"] ?? "")")
            }
            return try child.hand(to: options.command, as: Self.name, descriptors: [6: socket, 7: socket])
        } catch {
            // -q keeps even this to itself.
            throw ProgramExit(error.code, options.verbosity > 0 ? error.message : nil)
        }
    }
}

/// What tcpclient was asked for, as ucspi-tcp documents it.
struct TCPClientOptions: Sendable {
    var host: String
    var port: String
    var command: [String]
    /// 0 says nothing, 1 errors, 2 everything.
    var verbosity = 1
    var delays: Bool
    var asksRemoteHost: Bool
    var asksRemoteInfo: Bool
    var localName: String?
    var localAddress: String?
    var localPort: String?
    var infoTimeout: Duration
    /// For the first and the second try of each address.
    var timeouts: (Duration, Duration) = (.seconds(2), .seconds(58))
    var family: Int32 = AF_UNSPEC

    init?(_ arguments: [String]) {
        guard let options = OptionScanner(arguments, "46dDvqQhHrRi:p:t:T:l:"), options.rest.count >= 3 else {
            return nil
        }
        (host, port) = (options.rest[0], options.rest[1])
        command = Array(options.rest[2...])
        if host.isEmpty || host == "0" { host = "127.0.0.1" }
        delays = options.isOn("d", off: "D", default: true)
        asksRemoteHost = options.isOn("h", off: "H", default: true)
        asksRemoteInfo = options.isOn("r", off: "R", default: true)
        for option in options.options where "vqQ".contains(option.letter) {
            verbosity = option.letter == "v" ? 2 : option.letter == "q" ? 0 : 1
        }
        if options.isOn("4", off: "6") { family = AF_INET }
        if options.isOn("6", off: "4") { family = AF_INET6 }
        localName = options.value("l")
        localAddress = options.value("i")
        localPort = options.value("p")
        infoTimeout = .seconds(options.value("t").flatMap(Self.number) ?? 26)
        if let both = options.value("T") {
            let parts = both.split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
            timeouts.0 = .seconds(Self.number(String(parts[0])) ?? 2)
            timeouts.1 = .seconds(parts.count > 1 ? Self.number(String(parts[1])) ?? 0 : 0)
        }
    }

    /// Up to some years.
    private static func number(_ text: String) -> Int? {
        Int(text).flatMap { (0...1_000_000_000).contains($0) ? $0 : nil }
    }
}
