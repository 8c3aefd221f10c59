/// The nodes that may take a partition's copies, best first: its owners, then all others as stand-ins.
///
/// Stand-ins come in an order that is the partition's own, so that the load of a dead node spreads over all; those in
/// zones without an owner come first, so that a copy on a stand-in is as safe as it can be. A node that is being emptied
/// stands in for nobody.
package enum PreferenceList {
    /// The live ones of them, `count` at most.
    package static func live(
        _ ring: Ring, partition: Int, count: Int = .max, isLive: (Ring.NodeIndex) -> Bool
    ) -> [Ring.NodeIndex] {
        let owners = ring.owners(ofPartition: partition)
        var list: [Ring.NodeIndex] = []
        for node in owners where list.count < count && isLive(node) { list.append(node) }
        guard list.count < count else { return list }
        var zones: [String] = list.compactMap { ring.member($0).zone }
        var rest = standIns(ring, partition, owners).filter(isLive)
        while list.count < count, !rest.isEmpty {
            let place = rest.firstIndex { !isCovered(ring.member($0).zone, zones) } ?? 0
            let node = rest.remove(at: place)
            list.append(node)
            if let zone = ring.member(node).zone { zones.append(zone) }
        }
        return list
    }

    /// The best live node to stand in for an owner: one that is none of `used`, in a zone of its own if there is one.
    package static func standIn(
        _ ring: Ring, partition: Int, besides used: [Ring.NodeIndex], isLive: (Ring.NodeIndex) -> Bool
    ) -> Ring.NodeIndex? {
        let zones = used.compactMap { ring.member($0).zone }
        let rest = standIns(ring, partition, ring.owners(ofPartition: partition)).filter {
            !used.contains($0) && isLive($0)
        }
        return rest.first { !isCovered(ring.member($0).zone, zones) } ?? rest.first
    }

    private static func isCovered(_ zone: String?, _ zones: [String]) -> Bool {
        zone.map(zones.contains) ?? false
    }

    private static func standIns(
        _ ring: Ring, _ partition: Int, _ owners: ArraySlice<Ring.NodeIndex>
    ) -> [Ring.NodeIndex] {
        ring.members.indices.map(Ring.NodeIndex.init(_:))
            .filter { !owners.contains($0) && ring.member($0).weight > 0 }
            .map { ($0, StableHash.affinity(node: StableHash.xxh64(ring.member($0).name), partition: partition)) }
            .sorted { $0.1 > $1.1 }
            .map(\.0)
    }
}
