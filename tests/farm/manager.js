// Stands in for Flamenco's manager: gives a job type's script the names that it has there, and prints what it made.
// Usage: node manager.js SCRIPT < settings.json
"use strict";
const fs = require("fs");
const vm = require("vm");
const posix = require("path").posix;

const TYPES = ["string", "int32", "float", "bool"];
const SUBTYPES = [undefined, "file_path", "dir_path", "file_name", "hashed_file_path"];
const KEYS = ["key", "type", "subtype", "choices", "propargs", "description", "default", "eval", "evalInfo", "visible",
    "required", "editable"];

function newTask(name, type) {
    if (!String(name).trim() || !String(type).trim()) {
        throw new Error("author.Task(name, type): both are required");
    }
    const task = { name, type, commands: [], dependencies: [] };
    const hidden = (value) => ({ value, enumerable: false });
    return Object.defineProperties(task, {
        addCommand: hidden((command) => task.commands.push(command)),
        addDependency: hidden((other) => task.dependencies.push(other.name)),
    });
}

function check(type) {
    for (const setting of type.settings) {
        const odd = Object.keys(setting).filter((key) => !KEYS.includes(key));
        if (odd.length || !TYPES.includes(setting.type) || !SUBTYPES.includes(setting.subtype)) {
            throw new Error(`JOB_TYPE: the manager does not know ${JSON.stringify(setting)}`);
        }
    }
}

const tasks = [];
const context = vm.createContext({
    author: { Task: newTask, Command: (name, parameters, totalStepCount = 0) => ({ name, parameters, totalStepCount }) },
    path: {
        basename: (path) => posix.basename(path),
        dirname: posix.dirname,
        join: posix.join,
        stem: (path) => posix.parse(path).name,
    },
    print: () => undefined,
});
vm.runInContext(fs.readFileSync(process.argv[2], "utf8"), context);
const type = vm.runInContext("JOB_TYPE", context);
check(type);
const given = JSON.parse(fs.readFileSync(0, "utf8"));
const settings = Object.fromEntries(type.settings.map((setting) => [setting.key, given[setting.key] ?? setting.default]));
const lacking = type.settings.filter((setting) => setting.required && settings[setting.key] === undefined);
if (lacking.length) {
    throw new Error(`the setting ${lacking[0].key} is required`);
}
context.job = { name: "job", type: "optimize-materials", settings, addTask: (task) => tasks.push(task) };
vm.runInContext("compileJob(job)", context);
console.log(JSON.stringify({ type, tasks }));
