using Microsoft.Extensions.Logging;

namespace Mesh.Policy;

internal sealed partial class JwksSource
{
    private static partial class Log
    {
        [LoggerMessage(2500, LogLevel.Information, "The keys of tokens from {Uri} are here: {Count}", EventName = nameof(KeysFetched))]
        public static partial void KeysFetched(ILogger logger, string uri, int count);

        [LoggerMessage(2501, LogLevel.Warning, "The keys of tokens could not be asked for anew from {Uri}: {Problem}. The last good ones serve for at most a day", EventName = nameof(KeysNotRefreshed))]
        public static partial void KeysNotRefreshed(ILogger logger, string uri, string problem);

        [LoggerMessage(2502, LogLevel.Error, "There are no keys of tokens from {Uri}: {Problem}. Requests with such tokens are answered 401 until there are", EventName = nameof(KeysUnavailable))]
        public static partial void KeysUnavailable(ILogger logger, string uri, string problem);
    }
}
