using System.Net;
using Mesh.Traffic;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Mesh.Server;

/// <summary>Takes headers out that only the mesh, or a proxy that is trusted, may write: whoever is no verified peer could say anything by them.</summary>
/// <remarks>Before everything else but the deadline, which is taken from anyone: it can only shorten the caller's own request. Mesh peers' headers stay.</remarks>
internal sealed partial class HeaderTrust(MeshGate gate, ILogger<HeaderTrust> logger)
{
    private const int LongestNames = 200;
    private int _told;

    public void Apply(HttpContext context, MeshConnectionFeature connection)
    {
        if (connection.Peer is not null)
        {
            return;
        }

        List<string>? taken = null;
        var trusted = TrustsForwarding(context.Connection.RemoteIpAddress);
        foreach (var header in context.Request.Headers)
        {
            if (!MeshHeaders.MayComeFromOutside(header.Key, trusted))
            {
                (taken ??= []).Add(header.Key);
            }
        }

        if (taken is null)
        {
            return;
        }

        foreach (var name in taken)
        {
            context.Request.Headers.Remove(name);
        }

        if (Interlocked.Exchange(ref _told, 1) == 0)
        {
            var names = string.Join(", ", taken);
            Log.HeadersTaken(logger, names.Length > LongestNames ? names[..LongestNames] : names, context.Connection.RemoteIpAddress?.ToString() ?? "a Unix socket");
        }
    }

    // Whoever may open a Unix socket is what its file says: a proxy on this machine.
    private bool TrustsForwarding(IPAddress? peer) => peer is null || gate.TrustedProxies.Contains(peer);

    private static partial class Log
    {
        [LoggerMessage(3430, LogLevel.Information, "Headers that only the mesh or a trusted proxy may send were taken out of a request: {Names}, from {Peer}. So it is with all callers outside of the mesh, and this is said once. To let the app see forwarding headers of a proxy, list its address in Mesh:Server:TrustedProxies", EventName = nameof(HeadersTaken))]
        public static partial void HeadersTaken(ILogger logger, string names, string peer);
    }
}
