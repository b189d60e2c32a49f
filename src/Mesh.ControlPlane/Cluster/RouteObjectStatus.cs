using System.Text.Json.Nodes;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Writes the status of routes: an entry for each parent that is a Service (Gateway API, RouteParentStatus).</summary>
internal static class RouteObjectStatus
{
    /// <summary>A route without a parent of ours is none of ours.</summary>
    public static IEnumerable<ObjectStatus> Of(MeshModel model) => model.RouteReports.Where(r => r.Origin is not null && !r.Parents.IsEmpty).Select(Write);

    private static ObjectStatus Write(RouteReport route) => new(route.Origin!.ResourcePath, route.Origin.Generation, new JsonObject
    {
        ["parents"] = new JsonArray([.. route.Parents.Select(p => Parent(p, route.Origin.Generation))]),
    });

    private static JsonObject Parent(ParentReport parent, long generation)
    {
        var reference = new JsonObject { ["group"] = string.Empty, ["kind"] = "Service", ["name"] = parent.Name };
        if (parent.Namespace is not null)
        {
            reference["namespace"] = parent.Namespace;
        }

        if (parent.Port is not null)
        {
            reference["port"] = parent.Port;
        }

        if (parent.SectionName is not null)
        {
            reference["sectionName"] = parent.SectionName;
        }

        return new JsonObject
        {
            ["parentRef"] = reference,
            ["controllerName"] = Annotations.Controller,
            ["conditions"] = new JsonArray([.. parent.Conditions.Select(c => StatusCondition.Write(c.Type, c.Status ? "True" : "False", c.Reason, c.Message, c.Generation ?? generation))]),
        };
    }
}
