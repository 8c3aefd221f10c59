import Cluster
import Mail

/// Warnings: what works today, and costs mail or evenness when the cluster changes.
extension ClusterConfiguration {
    private static let partitionsPerNode = 20

    func foresight(_ reader: ConfigurationReader) -> [ConfigurationProblem] {
        [missingHistory(reader), fewPartitions(reader)].compactMap { $0 }
    }

    /// Nodes of one machine only are a trial or a site that has no other node to move to. With etcd an edit of the file's
    /// nodes changes nothing.
    private func missingHistory(_ reader: ConfigurationReader) -> ConfigurationProblem? {
        guard membership.kind == .static, cluster.epochs.isEmpty, nodes.count > 1,
            nodes.contains(where: { !$0.lmtp.isLocal }),
            let founders = RingHistory(founders: ringMembers).lines.first
        else { return nil }
        return reader.located(
            "without the ring's history an edit of nodes founds another ring, and most mail would be looked for where "
                + "it is not: add the line \"\(founders)\" before the first change", path: "cluster.epochs")
    }

    private func fewPartitions(_ reader: ConfigurationReader) -> ConfigurationProblem? {
        let wanted = Self.partitionsPerNode * nodes.count
        guard nodes.count > 1, cluster.partitions < wanted else { return nil }
        return reader.located(
            "\(cluster.partitions) partitions are fewer than \(Self.partitionsPerNode) for each of \(nodes.count) nodes, "
                + "so that loads will be uneven: a new cluster needs \(wanted) or more", path: "cluster.partitions")
    }
}
