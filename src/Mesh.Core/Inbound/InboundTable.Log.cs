using Microsoft.Extensions.Logging;

namespace Mesh.Inbound;

internal sealed partial class InboundTable
{
    private static partial class Log
    {
        [LoggerMessage(3300, LogLevel.Warning, "No Service lists {Address}: {Effect} (Mesh:Server:UnlistedAccess is {Access}), and callers reach it in plaintext only. Add an EndpointSlice with this address and port, or put the port into Mesh:Server:ExcludedPorts", EventName = nameof(AddressUnlisted))]
        public static partial void AddressUnlisted(ILogger logger, string address, string effect, string access);
    }
}
