using System.CommandLine;
using System.Text.Json.Nodes;
using Mesh.Cli.Output;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh identity rotate</c>: new certificates for every workload, or a new root for all of the mesh.</summary>
internal static class IdentityRotateCommand
{
    private const string RootPath = "api/v1/identity/root";
    private const string Stable = "stable";
    private static readonly TimeSpan _refresh = TimeSpan.FromSeconds(1);

    public static Command Create(CliContext context)
    {
        var root = new Option<bool>("--root") { Description = "A new root: distributed, then used, then the old one dropped once nobody needs it" };
        var wait = new Option<bool>("--wait") { Description = "Until it is done; follows a change of the root that is under way" };
        var timeout = CommonOptions.Time("--timeout", TimeSpan.FromHours(72), "How long to wait (default 72h: a change of the root may take twice the life of a certificate)");
        var (output, server) = (CommonOptions.Output(), new ServerOptions(context));
        var command = new Command("rotate", "New certificates for all workloads; with --root under a new root. Nothing is restarted.") { root, wait, timeout, output };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            using var limit = new CancellationTokenSource(result.GetValue(timeout), context.Time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
            try
            {
                var answer = result.GetValue(root)
                    ? await RotateRootAsync(context, api, result.GetValue(wait), either.Token)
                    : await RotateLeavesAsync(context, api, result.GetValue(wait), either.Token);
                if (result.GetValue(output) == "json")
                {
                    await context.Out.WriteLineAsync(answer.ToJsonString(ControlPlaneApi.Json));
                }
                else if (result.GetValue(root))
                {
                    await IdentityText.WriteRootAsync(api.Read<RootStatus>(answer, RootPath), context.Out);
                }

                return ExitCodes.Ok;
            }
            catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
            {
                throw new CliException(
                    ExitCodes.TimedOut, "the rotation is not done yet", $"{result.GetValue(timeout)} passed", "it goes on by itself; look again with 'mesh identity rotate --root --wait' or 'mesh identity list'");
            }
        });
        return command;
    }

    private static async Task<JsonNode> RotateRootAsync(CliContext context, ControlPlaneApi api, bool wait, CancellationToken cancellationToken)
    {
        var answer = wait ? await api.GetAsync(RootPath, cancellationToken) : null;
        if (answer is null || api.Read<RootStatus>(answer, RootPath).Phase == Stable)
        {
            answer = await api.PostAsync($"{RootPath}/rotate", new { }, cancellationToken);
        }
        else
        {
            await context.Error.WriteLineAsync("A change of the root is under way already: following it.");
        }

        var told = string.Empty;
        while (wait)
        {
            var status = api.Read<RootStatus>(answer, RootPath);
            using var text = new StringWriter { NewLine = context.Error.NewLine };
            await IdentityText.WriteRootAsync(status, text);
            // Only what has changed is news.
            if (text.ToString() is var now && now != told)
            {
                told = now;
                await context.Error.WriteLineAsync(now);
            }

            if (status.Phase == Stable)
            {
                break;
            }

            await Task.Delay(_refresh, context.Time, cancellationToken);
            answer = await api.GetAsync(RootPath, cancellationToken);
        }

        return answer;
    }

    private static async Task<JsonNode> RotateLeavesAsync(CliContext context, ControlPlaneApi api, bool wait, CancellationToken cancellationToken)
    {
        const string RotatePath = "api/v1/identity/rotate";
        var answer = await api.PostAsync(RotatePath, new { }, cancellationToken);
        var after = api.Read<Rotated>(answer, RotatePath).IssuedAfter;
        await context.Error.WriteLineAsync($"Every connected workload was asked for a new certificate at {IdentityText.Time(after)}.");
        var told = -1;
        while (wait)
        {
            var entries = (await api.GetArrayAsync(IdentityListCommand.Path, cancellationToken)).OfType<JsonNode>().Select(n => api.Read<IdentityEntry>(n, IdentityListCommand.Path)).ToList();
            var left = entries.Where(e => e.Connected && e.IssuedAt < after).ToList();
            if (left.Count != told)
            {
                told = left.Count;
                await context.Error.WriteLineAsync(left.Count == 0
                    ? $"All {entries.Count(e => e.Connected)} connected workloads have new certificates."
                    : $"{left.Count} of {entries.Count(e => e.Connected)} connected workloads have not renewed yet: {string.Join(", ", left.Take(5).Select(e => e.Node))}");
            }

            if (left.Count == 0)
            {
                break;
            }

            await Task.Delay(_refresh, context.Time, cancellationToken);
        }

        return answer;
    }

    private sealed record Rotated(DateTimeOffset IssuedAfter);
}
