using Mesh.ControlPlane.Xds;

namespace Mesh.ControlPlane.Insight;

/// <summary>Tells of clients that came, went or refused something: together, for a fleet comes and goes at once. Owned by one loop.</summary>
internal sealed class ClientEvents(ChangeLog changes)
{
    private const int ToldOneByOne = 3;
    private readonly List<ClientEvent> _waiting = [];

    public void Take(ClientEvent change) => _waiting.Add(change);

    public void Flush()
    {
        // Who went and came back meanwhile is where it was.
        var net = _waiting.Where(e => e.Kind != ClientEventKind.Refused).GroupBy(e => e.Node.Id)
            .Select(g => (g.Last().Node, Change: g.Sum(e => e.Kind == ClientEventKind.Connected ? 1 : -1))).ToList();
        Tell([.. net.Where(n => n.Change < 0).Select(n => n.Node)], "lost its connection", "lost their connections", recovery: false);
        Tell([.. net.Where(n => n.Change > 0).Select(n => n.Node)], "is connected", "are connected", recovery: true);
        var refusals = _waiting.Where(e => e.Kind == ClientEventKind.Refused).DistinctBy(e => (e.Node.Id, e.Text)).ToList();
        foreach (var refusal in refusals.Take(ToldOneByOne))
        {
            changes.Add(ChangeKinds.Client, $"{refusal.Node.Id} refused its configuration: {refusal.Text}", refusal.Node.Namespace, refusal.Node.Identity?.ServiceAccount);
        }

        if (refusals.Count > ToldOneByOne)
        {
            changes.Add(ChangeKinds.Client, $"{refusals.Count - ToldOneByOne} more clients refused their configuration");
        }

        _waiting.Clear();
    }

    private void Tell(List<Model.NodeContext> nodes, string one, string more, bool recovery)
    {
        if (nodes.Count <= ToldOneByOne)
        {
            foreach (var node in nodes)
            {
                changes.Add(ChangeKinds.Client, $"{node.Id} {one}", node.Namespace, node.Identity?.ServiceAccount, recovery);
            }
        }
        else
        {
            changes.Add(ChangeKinds.Client, $"{nodes.Count} clients {more}: {string.Join(", ", nodes.Take(ToldOneByOne).Select(n => n.Id))}, …", recovery: recovery);
        }
    }
}
