import Cluster
import Mail
import SMTP

/// What no single key can tell: rules between them.
extension ClusterConfiguration {
    func check(_ reader: inout ConfigurationReader) {
        if nodes.isEmpty { reader.problem("a cluster needs at least one storage node", path: "nodes") }
        checkNames(&reader)
        checkRing(&reader)
        checkMembership(&reader)
        checkAddresses(&reader)
        checkTrust(&reader)
        checkListeners(&reader)
        checkTimes(&reader)
        checkSites(&reader)
        checkRelays(&reader)
    }

    private func checkNames(_ reader: inout ConfigurationReader) {
        var owners: [String: String] = [:]
        let names =
            frontends.enumerated().map { ("frontends[\($0)]", $1.name) }
            + nodes.enumerated().map { ("nodes[\($0)]", $1.name) }
        for (path, name) in names where !name.isEmpty {
            if let other = owners[name] {
                reader.problem("\"\(name)\" is the name of \(other) already", path: "\(path).name")
            }
            owners[name] = path
        }
    }

    private func checkRing(_ reader: inout ConfigurationReader) {
        let count = ringMembers.count { $0.weight > 0 }
        if !Ring.isPossible(ringMembers, replicas: cluster.replicas), !nodes.isEmpty {
            reader.problem(
                "\(cluster.replicas) owners of each partition need as many nodes with a weight, and there are \(count)",
                path: "cluster.replicas")
        }
        if cluster.settled > max(1, cluster.epochs.count) {
            reader.problem(
                "there are only \(max(1, cluster.epochs.count)) epochs: the ring has no epoch \(cluster.settled)",
                path: "cluster.settled")
        }
        if cluster.durableCopies > cluster.replicas {
            reader.problem(
                "\(cluster.durableCopies) durable copies need as many owners, and cluster.replicas is "
                    + "\(cluster.replicas)", path: "cluster.durableCopies")
        }
        guard !cluster.epochs.isEmpty else { return }
        do {
            let history = try RingHistory(lines: cluster.epochs)
            if let step = history.lineToReach(ringMembers) {
                reader.problem(
                    "the last epoch is not what nodes says; if the mail is to move, add the line \"\(step)\"",
                    path: "cluster.epochs")
            }
            let few = history.memberships.firstIndex { !Ring.isPossible($0, replicas: cluster.replicas) }
            if let few {
                reader.problem(
                    "fewer members with a weight than cluster.replicas (\(cluster.replicas))",
                    path: "cluster.epochs[\(few)]")
            }
        } catch {
            reader.problem(error.message, path: "cluster.epochs[\(error.line)]")
        }
    }

    private func checkAddresses(_ reader: inout ConfigurationReader) {
        var users: [Endpoint: String] = [:]
        var used: [(String, Endpoint)] = []
        for (index, frontend) in frontends.enumerated() {
            for (place, listener) in frontend.listeners.enumerated() {
                used.append(("frontends[\(index)].listeners[\(place)].address", listener.address))
            }
            if let address = frontend.telemetry.address {
                used.append(("frontends[\(index)].telemetry.address", address))
            }
        }
        for (index, node) in nodes.enumerated() {
            used += [("nodes[\(index)].lmtp", node.lmtp), ("nodes[\(index)].pop3", node.pop3)]
            if let address = node.telemetry.address { used.append(("nodes[\(index)].telemetry.address", address)) }
        }
        for (path, address) in used where address != .tcp(host: "", port: 0) {
            if case .tcp(_, 0) = address { continue }
            if let other = users[address] {
                reader.problem("\(address) is the address of \(other) already", path: path)
            }
            users[address] = path
        }
        for (path, address) in used where path.hasSuffix(".telemetry.address") {
            guard case .tcp = address, address.isLocal else {
                reader.problem(
                    "\(address) is not for this machine only: expected a TCP port of the loopback interface, such as "
                        + "127.0.0.1:9101", path: path)
                continue
            }
        }
        var stores: [String: String] = [:]
        for (index, node) in nodes.enumerated() where !node.name.isEmpty {
            // On different machines the same path is no harm, but one name then says where the mail of both lies.
            guard node.lmtp.isLocal else { continue }
            if let other = stores[node.data] {
                reader.problem("\(node.data) is the store of \(other) already", path: "nodes[\(index)].data")
            }
            stores[node.data] = node.name
        }
    }

    private func checkTrust(_ reader: inout ConfigurationReader) {
        for (index, node) in nodes.enumerated() where isPlain(node) {
            let reason = node.trusted ? "the node is trusted" : "trust.mode is local"
            for (key, address) in [("lmtp", node.lmtp), ("pop3", node.pop3)]
            where !address.isLocal && address != .tcp(host: "", port: 0) {
                reader.problem(
                    "\(address) would be spoken to without TLS, because \(reason): "
                        + "expected a loopback address or a Unix socket, or mutual TLS",
                    path: "nodes[\(index)].\(key)")
            }
        }
    }

    private func checkListeners(_ reader: inout ConfigurationReader) {
        if smtp.qmtpBufferBytesMax < smtp.limits.messageBytesMax,
            frontends.contains(where: { $0.listeners.contains(where: \.service.isPlain) })
        {
            reader.problem(
                "too little for one message of smtp.limits.messageBytesMax by QMTP or QMQP",
                path: "smtp.qmtpBufferBytesMax")
        }
        for (index, frontend) in frontends.enumerated() {
            let path = "frontends[\(index)]"
            if frontend.listeners.isEmpty {
                reader.problem("a frontend needs at least one listener", path: "\(path).listeners")
            }
            if (frontend.tls.certificate == nil) != (frontend.tls.key == nil) {
                reader.problem("certificate and key belong together", path: "\(path).tls")
            }
            for (place, listener) in frontend.listeners.enumerated() {
                let path = "\(path).listeners[\(place)]"
                if listener.service.isImplicitTLS, listener.tlsMode != .implicit {
                    reader.problem(
                        "\(listener.service.rawValue) is TLS from the first byte: expected implicit",
                        path: "\(path).tls")
                }
                if listener.service.isPlain {
                    checkPlain(listener, path, &reader)
                } else if !listener.service.isImplicitTLS, listener.tlsMode == .implicit {
                    reader.problem(
                        "\(listener.service.rawValue) begins without TLS: expected none or starttls, or the service "
                            + "submissions or pop3s", path: "\(path).tls")
                }
                if listener.tlsMode != .none, frontend.tls.certificate == nil {
                    reader.problem("TLS needs frontends[\(index)].tls.certificate and key", path: "\(path).tls")
                }
            }
        }
    }

    /// QMTP and QMQP: no TLS, no passwords.
    private func checkPlain(_ listener: ListenerSettings, _ path: String, _ reader: inout ConfigurationReader) {
        let service = listener.service.rawValue
        if listener.tlsMode != .none { reader.problem("\(service) knows no TLS: expected none", path: "\(path).tls") }
        if listener.service == .qmqp, listener.clients.isEmpty, case .tcp = listener.address {
            reader.problem("qmqp is for trusted hosts only: expected their addresses", path: "\(path).clients")
        }
    }

    private func checkTimes(_ reader: inout ConfigurationReader) {
        if storage.tombstoneGrace <= delivery.timeout {
            reader.problem(
                "a deletion must be remembered longer than delivery.timeout "
                    + "(\(DurationText.text(delivery.timeout))), or a repeat brings the message back",
                path: "storage.tombstoneGrace")
        }
        if storage.tombstoneGrace <= storage.tmpAge {
            reader.problem(
                "a deletion must be remembered longer than storage.tmpAge (\(DurationText.text(storage.tmpAge)))",
                path: "storage.tombstoneGrace")
        }
        if storage.tombstoneGrace <= delivery.resendWindow {
            reader.problem(
                "a deletion must be remembered longer than delivery.resendWindow "
                    + "(\(DurationText.text(delivery.resendWindow))), or a message that is sent again comes back",
                path: "storage.tombstoneGrace")
        }
        if delivery.reconnectDelayMax < delivery.reconnectDelay {
            reader.problem("less than delivery.reconnectDelay", path: "delivery.reconnectDelayMax")
        }
        if authentication.throttle.delayMax < authentication.throttle.delay {
            reader.problem("less than authentication.throttle.delay", path: "authentication.throttle.delayMax")
        }
        if delivery.connectTimeout > delivery.timeout {
            reader.problem(
                "more than delivery.timeout, so that no other try could follow", path: "delivery.connectTimeout")
        }
        if delivery.handoffAfter >= delivery.timeout {
            reader.problem(
                "not less than delivery.timeout (\(DurationText.text(delivery.timeout))), so that no other node could "
                    + "be asked in time", path: "delivery.handoffAfter")
        }
        if delivery.inFlightPerConnectionMax > smtp.limits.transactionsInFlightMax {
            reader.problem(
                "more than smtp.limits.transactionsInFlightMax (\(smtp.limits.transactionsInFlightMax)), "
                    + "which is all that a node takes", path: "delivery.inFlightPerConnectionMax")
        }
    }
}
