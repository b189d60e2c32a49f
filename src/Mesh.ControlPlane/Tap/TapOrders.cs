using Mesh.Protos.Tap;
using Mesh.Telemetry;

namespace Mesh.ControlPlane.Tap;

/// <summary>What a question means for one data plane: it is asked only if it can see what is wanted. Pure.</summary>
internal static class TapOrders
{
    /// <summary>Callers that are named as reporting themselves; of more, only those without identity are asked of servers.</summary>
    public const int MostExcept = 1000;

    /// <param name="attending">Who reports its own calls, as namespace/service-account.</param>
    /// <returns>Null: nothing is asked of it.</returns>
    public static StartTap? For(string id, TapQuestion question, TapSession session, TapIndex index, IReadOnlyList<string> attending, double perSecond)
    {
        if (session.RefusesTaps || index.Forbids(session.Namespace, session.Account)
            || (question.Workload is { } workload && !index.IsCalled(session, workload, question.Namespace))
            || (question.Labels is { } labels && !index.Has(session.Namespace, session.Account, labels)))
        {
            return null;
        }

        var (client, server) = (Client(question, session, index), Server(question, session, index, attending));
        if (client is null && server is null)
        {
            return null;
        }

        var order = new StartTap
        {
            Id = id, Client = client, Server = server, Method = question.Method, Path = question.Path, Status = question.Status, MinLatencyMs = question.MinMs, MaxPerSecond = perSecond,
            Opens = question.Opens,
        };
        order.Headers.AddRange(question.Headers);
        return order;
    }

    private static SideFilter? Client(TapQuestion question, TapSession session, TapIndex index)
    {
        if (!Is(session, index, question.Source, question.SourceNamespace) || !TryOther(question, session, question.DestinationNamespace, out var ns))
        {
            return null;
        }

        return new SideFilter { Name = question.Destination ?? string.Empty, Namespace = ns };
    }

    private static SideFilter? Server(TapQuestion question, TapSession session, TapIndex index, IReadOnlyList<string> attending)
    {
        if (!Is(session, index, question.Destination, question.DestinationNamespace) || !TryOther(question, session, question.SourceNamespace, out var ns))
        {
            return null;
        }

        var filter = new SideFilter { Name = question.Source ?? string.Empty, Namespace = ns };
        if (question.Workload is null && filter.Name != MeshTags.Unmeshed)
        {
            // Of callers without these labels only the called side tells.
            attending = question.Labels is { } labels ? [.. attending.Where(a => a.Split('/') is [var of, var account] && index.Has(of, account, labels))] : attending;
            if (attending.Count <= MostExcept)
            {
                filter.Except.AddRange(attending);
            }
            else if (filter.Name.Length == 0)
            {
                filter.Name = MeshTags.Unmeshed;
            }
            else
            {
                return null;
            }
        }

        return filter;
    }

    private static bool Is(TapSession session, TapIndex index, string? name, string? ns) =>
        (ns is null || ns == session.Namespace) && (name is null || index.IsCalled(session, name, ns));

    /// <summary>Of which namespace the other side must be; false when no other side can be right.</summary>
    private static bool TryOther(TapQuestion question, TapSession session, string? asked, out string ns)
    {
        ns = asked ?? string.Empty;
        if (question.Workload is not null || question.Namespace is not { } either || session.Namespace == either)
        {
            return true;
        }

        ns = either;
        return asked is null || asked == either;
    }
}
