using System.CommandLine;
using Mesh.Cli.Output;
using Mesh.ControlPlane.Install;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh install</c>: prints what adds the mesh to a cluster. It asks no cluster: the same command prints the same bytes.</summary>
internal static class InstallCommand
{
    public const string GatewayHint =
        "Gateway API's definitions (HTTPRoute, GRPCRoute …) are not part of this and may be another's: 'mesh check --pre' says whether the cluster has them, and how to get them. The mesh works without; routes need them.";

    public static Command Create(CliContext context)
    {
        var install = new InstallOptions();
        var crds = new Option<bool>("--crds") { Description = "Only the definitions of policies, for whoever may change those" };
        var skip = new Option<bool>("--skip-crds") { Description = "All but the definitions of policies" };
        var list = new Option<bool>("--list-values") { Description = "Show every value that can be set, with its default" };
        var command = new Command("install", "Prints the manifests that add the mesh to a cluster: mesh install | kubectl apply -f -") { crds, skip, list };
        install.AddTo(command);
        command.Validators.Add(result =>
        {
            if (result.GetValue(crds) && result.GetValue(skip))
            {
                result.AddError("--crds and --skip-crds leave nothing. Keep one.");
            }
        });
        command.SetAction(async (result, _) =>
        {
            if (result.GetValue(list))
            {
                await WriteValuesAsync(context);
                return ExitCodes.Ok;
            }

            var values = install.Read(result);
            var typed = string.Join(' ', new[] { "mesh install", result.GetValue(crds) ? "--crds" : result.GetValue(skip) ? "--skip-crds" : "", install.Typed(result) }.Where(t => t.Length > 0));
            await context.Out.WriteAsync(InstallManifest.ToText(
                [
                    .. result.GetValue(skip) ? [] : InstallManifest.Crds(values),
                    .. result.GetValue(crds) ? [] : InstallManifest.ControlPlane(values),
                ], typed));
            await context.Error.WriteLineAsync(GatewayHint);
            return ExitCodes.Ok;
        });
        return command;
    }

    private static Task WriteValuesAsync(CliContext context)
    {
        var table = new Table(("VALUE", false), ("DEFAULT", false), ("HA", false), ("MEANING", false));
        foreach (var value in InstallCatalogue.All)
        {
            table.Add(value.Path, Shown(value.Default), value.HaDefault is null ? string.Empty : Shown(value.HaDefault), value.Description);
        }

        return table.WriteToAsync(context.Out);
    }

    internal static string Shown(System.Text.Json.Nodes.JsonNode? value) => value switch
    {
        null => "-",
        System.Text.Json.Nodes.JsonObject { Count: > 0 } map => string.Join(',', map.Select(p => $"{p.Key}={p.Value}")),
        System.Text.Json.Nodes.JsonObject or System.Text.Json.Nodes.JsonArray => "-",
        _ => value.ToString() is { Length: > 0 } text ? text : "-",
    };
}
