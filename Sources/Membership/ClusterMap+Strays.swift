package import Cluster

extension ClusterMap {
    /// Those of a node's partitions that the ring gives to other nodes.
    ///
    /// - Parameter stored: the numbers of the partitions that have a folder in the node's store.
    package func strays(among stored: some Sequence<Int>, at node: Ring.NodeIndex) -> [Int] {
        stored.filter { !(0..<ring.partitions).contains($0) || !ring.owners(ofPartition: $0).contains(node) }.sorted()
    }
}
