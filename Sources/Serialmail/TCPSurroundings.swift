import Glibc

/// What the environment tells of a connection (UCSI-TCP): both ends, their names, and whom the other side says we are.
struct TCPSurroundings {
    let options: TCPClientOptions

    func describe(_ socket: Int32, in environment: inout [String: String]) throws(ProgramExit) {
        guard let local = SocketAddress.of(socket, getsockname), let localText = local.text else {
            throw TCPClient.fatal("unable to get local address")
        }
        guard let remote = SocketAddress.of(socket, getpeername), let remoteText = remote.text else {
            throw TCPClient.fatal("unable to get remote address")
        }
        let variables: [String: String?] = [
            "LOCALIP": localText.ip, "LOCALPORT": localText.port, "LOCALHOST": options.localName ?? local.host,
            "REMOTEIP": remoteText.ip, "REMOTEPORT": remoteText.port,
            "REMOTEHOST": options.asksRemoteHost ? remote.host : nil,
            "REMOTEINFO": options.asksRemoteInfo ? info(local, remote, localText.port, remoteText.port) : nil,
        ]
        let isIPv6 = remote.family == AF_INET6
        environment["PROTO"] = isIPv6 ? "TCP6" : "TCP"
        // What is not known is not there, rather than empty; what an outer tcpclient said is not about this connection.
        for (name, value) in variables {
            environment["TCP\(name)"] = value
            environment["TCP6\(name)"] = isIPv6 ? value : nil
        }
    }

    /// Asks the other host who owns the connection there (RFC 1413).
    private func info(_ local: SocketAddress, _ remote: SocketAddress, _ ours: String, _ theirs: String) -> String? {
        guard let ip = remote.text?.ip, let localIP = local.text?.ip else { return nil }
        var asking = options
        (asking.host, asking.port, asking.localAddress, asking.localPort) = (ip, "113", localIP, nil)
        asking.timeouts = (options.infoTimeout, .zero)
        guard let socket = try? TCPDialer(options: asking).connect(say: { _ in }) else { return nil }
        defer { close(socket) }
        let output = TimedWriter(socket, timeout: options.infoTimeout)
        let input = TimedReader(socket, timeout: options.infoTimeout)
        guard (try? output.put("\(theirs), \(ours)\r\n")) != nil, (try? output.flush()) != nil,
            let line = try? input.take(upTo: UInt8(ascii: "\n"), bytesMax: 1024)
        else { return nil }
        return Self.userID(line)
    }

    /// RFC 1413 §5: `ports : USERID : system : user`.
    static func userID(_ line: [UInt8]) -> String? {
        let fields = line.split(separator: UInt8(ascii: ":"), maxSplits: 3, omittingEmptySubsequences: false)
        guard fields.count == 4, fields[1].filter({ $0 != UInt8(ascii: " ") }).elementsEqual("USERID".utf8) else {
            return nil
        }
        let user = fields[3].drop { $0 == UInt8(ascii: " ") }.filter { (0x21...0x7E).contains($0) }
        return user.isEmpty ? nil : String(decoding: user, as: UTF8.self)
    }
}
