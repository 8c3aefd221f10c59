import Glibc

/// A socket address of either family.
struct SocketAddress: Hashable {
    let bytes: [UInt8]
    let family: Int32

    /// In figures.
    var text: (ip: String, port: String)? { name(NI_NUMERICHOST | NI_NUMERICSERV) }

    /// As the resolver names it; nil if it does not.
    var host: String? { name(NI_NAMEREQD | NI_NUMERICSERV)?.ip }

    private func name(_ flags: Int32) -> (ip: String, port: String)? {
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        var service = [CChar](repeating: 0, count: Int(NI_MAXSERV))
        let failure = withPointer { address, length in
            getnameinfo(
                address, length, &host, socklen_t(host.count), &service, socklen_t(service.count), flags)
        }
        return failure == 0 ? (Self.text(host), Self.text(service)) : nil
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func withPointer<Value>(_ body: (UnsafePointer<sockaddr>?, socklen_t) -> Value) -> Value {
        bytes.withUnsafeBytes { body($0.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count)) }
    }

    /// What the resolver has for a host and a port, which may be a name or a figure.
    ///
    /// - Returns: nil and the resolver's error if it has nothing.
    static func resolve(_ host: String?, port: String?, family: Int32, flags: Int32 = 0) -> ([SocketAddress], Int32) {
        var hints = addrinfo()
        hints.ai_family = family
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = flags
        var list: UnsafeMutablePointer<addrinfo>?
        let failure = getaddrinfo(host, port, &hints, &list)
        guard failure == 0 else { return ([], failure) }
        defer { freeaddrinfo(list) }
        var found: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            let bytes = UnsafeRawBufferPointer(start: entry.ai_addr, count: Int(entry.ai_addrlen))
            found.append(SocketAddress(bytes: Array(bytes), family: entry.ai_family))
            next = entry.ai_next
        }
        return (found, 0)
    }

    /// One end of a connection, by `getsockname` or `getpeername`.
    static func of(
        _ socket: Int32, _ ask: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let failure = withUnsafeMutablePointer(to: &storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { ask(socket, $0, &length) }
        }
        guard failure == 0 else { return nil }
        let bytes = withUnsafeBytes(of: storage) { Array($0.prefix(Int(length))) }
        return SocketAddress(bytes: bytes, family: Int32(storage.ss_family))
    }
}

/// Tries a host's addresses in turn: each for a short time, then those that did not answer for a long one.
struct TCPDialer {
    let options: TCPClientOptions

    /// - Parameter say: is told of each address that could not be reached.
    /// - Returns: nil if no address can be reached.
    func connect(say: (String) -> Void) throws(ProgramExit) -> Int32? {
        guard !SocketAddress.resolve(nil, port: options.port, family: AF_UNSPEC).0.isEmpty else {
            throw TCPClient.fatal("unable to figure out port number for \(options.port)")
        }
        let (found, failure) = SocketAddress.resolve(options.host, port: options.port, family: try family())
        if failure == EAI_AGAIN {
            throw TCPClient.fatal("temporarily unable to figure out IP address for \(options.host)")
        }
        guard !found.isEmpty else { throw TCPClient.fatal("no IP address for \(options.host)") }
        var addresses = found
        var timeouts = [options.timeouts.0, options.timeouts.1]
        if addresses.count == 1 { timeouts = [timeouts[0] + timeouts[1], .zero] }
        for (attempt, timeout) in timeouts.enumerated() {
            var silent: [SocketAddress] = []
            for address in addresses {
                let (socket, error) = try connect(address, timeout: timeout)
                if let socket { return socket }
                if attempt == 0, timeouts[1] > .zero, error == ETIMEDOUT {
                    silent.append(address)
                } else {
                    let (ip, port) = address.text ?? (options.host, options.port)
                    say("tcpclient: unable to connect to \(ip) port \(port): \(Printable.error(error))")
                }
            }
            addresses = silent
        }
        return nil
    }

    /// The one that the local address has, if there is one.
    private func family() throws(ProgramExit) -> Int32 {
        guard let address = options.localAddress else { return options.family }
        let (local, _) = SocketAddress.resolve(address, port: nil, family: options.family, flags: AI_NUMERICHOST)
        guard let family = local.first?.family else { throw TCPClient.usageExit }
        return family
    }

    /// The socket, or an errno.
    private func connect(_ address: SocketAddress, timeout: Duration) throws(ProgramExit) -> (Int32?, Int32) {
        let socket = Glibc.socket(
            address.family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard socket >= 0 else { throw TCPClient.fatal("unable to create socket: \(Printable.error(errno))") }
        if options.localAddress != nil || options.localPort != nil { try bind(socket, address.family) }
        var failure = address.withPointer { Glibc.connect(socket, $0, $1) == 0 ? 0 : errno }
        if failure == EINPROGRESS {
            let ready = try? Readiness.wait([(socket, Int32(POLLOUT))], timeout: timeout)
            var length = socklen_t(MemoryLayout<Int32>.size)
            if ready == [0] {
                failure = ETIMEDOUT
            } else if getsockopt(socket, SOL_SOCKET, SO_ERROR, &failure, &length) != 0 {
                failure = errno
            }
        }
        guard failure == 0 else {
            close(socket)
            return (nil, failure)
        }
        // The program that gets it expects one that blocks.
        _ = fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) & ~O_NONBLOCK)
        return (socket, 0)
    }

    private func bind(_ socket: Int32, _ family: Int32) throws(ProgramExit) {
        let (local, _) = SocketAddress.resolve(
            options.localAddress, port: options.localPort ?? "0", family: family, flags: AI_PASSIVE | AI_NUMERICHOST)
        var on: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let isBound = local.first?.withPointer { Glibc.bind(socket, $0, $1) == 0 } ?? false
        guard isBound else {
            let why = local.isEmpty ? "no such local address" : Printable.error(errno)
            close(socket)
            throw TCPClient.fatal("unable to bind socket: \(why)")
        }
    }
}
