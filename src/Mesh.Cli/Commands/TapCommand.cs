using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Mesh.Cli.Output;
using Mesh.ControlPlane.Install;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh tap</c>: requests as they happen.</summary>
internal static class TapCommand
{
    public static Command Create(CliContext context)
    {
        var (asked, server) = (new TapOptions(), new ServerOptions(context));
        var output = CommonOptions.AnyOutput();
        var headers = new Option<string?>("--headers") { Description = "Show the values of these headers, such as user-agent,x-user" };
        var length = CommonOptions.Time("--for", TimeSpan.Zero, "Stop after so long, such as 30s (default: at Ctrl-C)", "-t");
        var most = new Option<int?>("--max") { Description = "Stop after so many requests" };
        var command = new Command("tap", "Requests as they happen, at the workloads that make or serve them.") { output, headers, length, most };
        asked.AddTo(command);
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            TimeSpan? limit = result.GetValue(length) is { } time && time > TimeSpan.Zero ? time : null;
            var path = asked.Path(result, "tap", result.GetValue(headers), limit);
            await RunAsync(context, api, path, result.GetValue(output)!, result.GetValue(most) ?? long.MaxValue, cancellationToken);
            return ExitCodes.Ok;
        });
        return command;
    }

    private static async Task RunAsync(CliContext context, ControlPlaneApi api, string path, string form, long most, CancellationToken cancellationToken)
    {
        var (written, shown, dropped) = (0L, 0L, 0L);
        if (form == "json")
        {
            await context.Out.WriteAsync("[");
        }

        try
        {
            await foreach (var (name, data) in api.StreamAsync(path, cancellationToken))
            {
                switch (name)
                {
                    case "request" or "open":
                        await WriteAsync(context, api, path, form, data, isFirst: written++ == 0);
                        // One that was shown while it went on was counted then.
                        shown += name == "open" || data["stream"] is null ? 1 : 0;
                        break;
                    case "stats":
                        dropped = (long?)data["dropped"] ?? dropped;
                        break;
                    case "notice":
                        await context.Error.WriteLineAsync(TapLines.Word((string?)data["text"] ?? string.Empty).Trim('"'));
                        break;
                }

                if (shown >= most)
                {
                    break;
                }
            }
        }
        finally
        {
            // Also when interrupted: what was written is whole.
            if (form == "json")
            {
                await context.Out.WriteLineAsync(written == 0 ? "]" : $"{Environment.NewLine}]");
            }

            if (dropped > 0)
            {
                await context.Error.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{dropped} more requests were not shown: they came faster than --max-rps allows."));
            }
        }
    }

    private static async Task WriteAsync(CliContext context, ControlPlaneApi api, string path, string form, JsonNode data, bool isFirst)
    {
        switch (form)
        {
            case "json":
                await context.Out.WriteAsync($"{(isFirst ? string.Empty : ",")}{Environment.NewLine}{data.ToJsonString(Lines)}");
                break;
            case "yaml":
                // Sequences of one, which together are one.
                await context.Out.WriteAsync(YamlJson.Write(new JsonArray(data.DeepClone())));
                break;
            case "jsonl":
                await context.Out.WriteLineAsync(data.ToJsonString(Lines));
                break;
            default:
                await context.Out.WriteLineAsync(TapLines.Of(api.Read<TappedRequest>(data, path), form == "wide"));
                break;
        }

        await context.Out.FlushAsync();
    }

    private static System.Text.Json.JsonSerializerOptions Lines { get; } = new(ControlPlaneApi.Json) { WriteIndented = false };
}
