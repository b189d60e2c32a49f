namespace Mesh.Transparent.Commands;

/// <summary><c>mesh-proxy sleep</c>: a preStop hook where the image has no shell.</summary>
internal static class SleepCommand
{
    private const string Usage = """
        usage: mesh-proxy sleep TIME

        Does nothing for so long, up to 24h: 500ms, 10s, 2m. A preStop hook that lets the proxy go on while others still send to the pod.
        """;

    public static async Task<int> RunAsync(string[] args, CommandContext context)
    {
        if (args is ["--help" or "-h"])
        {
            await context.Output.WriteLineAsync(Usage).ConfigureAwait(false);
            return ExitCodes.Ok;
        }

        if (args is not [var text] || !Durations.TryParse(text, out var time))
        {
            return await context.FailAsync(ExitCodes.Usage, "sleep", $"'{string.Join(' ', args)}' is not a time. Give one number with its unit, up to 24h: 500ms, 10s, 2m, 1h.").ConfigureAwait(false);
        }

        await Task.Delay(time, context.Time).ConfigureAwait(false);
        return ExitCodes.Ok;
    }
}
