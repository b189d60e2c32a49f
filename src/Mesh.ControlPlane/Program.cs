using Mesh.ControlPlane.Hosting;

return await ControlPlaneProgram.RunAsync(args, ControlPlaneParts.Default);
